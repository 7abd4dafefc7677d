"""Entry point of `python -m cli`: the commands and what an error of each kind means to the shell."""

from __future__ import annotations

import sys

import click

from cli import bench, demo, down, events, exec_, image, inspect_, link, manifest, report, reset, run, setup, up
from cli.outcome import BadUsage, HostFailure, explain
from topologies.image.importing import BadImage
from topologies.image.native import CompileError
from topologies.image.recipe import ImageError
from topologies.problems import BadInput
from topologies.runtime import LabExists, NoSuchLab, RuntimeFailure, RuntimeMissing


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove that a load balancer has no single point of failure.

    Exit codes: 0 pass, 1 fail (a verdict), 2 usage or bad input, 3 unknown or the host failed us.
    """


for command in (
    demo.command,
    up.command,
    down.command,
    inspect_.command,
    exec_.command,
    link.command,
    events.command,
    image.command,
    manifest.command,
    reset.command,
    run.command,
    report.command,
    bench.command,
    setup.command,
):
    main.add_command(command)


def entry() -> int:
    """Runs the command line and turns every expected error into a sentence and its exit code."""
    try:
        result = main(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        explain("interrupted; what was started has been taken down")
        return 130
    except KeyboardInterrupt:
        explain("interrupted; what was started has been taken down")
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except (BadInput, BadImage, LabExists, NoSuchLab, BadUsage) as error:
        explain(str(error))
        return 2
    except (RuntimeFailure, RuntimeMissing, ImageError, CompileError, HostFailure) as error:
        explain(str(error))
        return 3


if __name__ == "__main__":
    sys.exit(entry())
