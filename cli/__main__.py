"""Entry point of `python -m cli`: the commands and what an error of each kind means to the shell."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

import click

from cli.outcome import BadUsage, HostFailure, explain
from topologies.image.importing import BadImage
from topologies.image.native import CompileError
from topologies.image.recipe import ImageError
from topologies.problems import BadInput
from topologies.runtime import LabExists, NoSuchLab, RuntimeFailure, RuntimeMissing

COMMANDS = {
    "demo": "demo",
    "run": "run",
    "up": "up",
    "down": "down",
    "inspect": "inspect_",
    "exec": "exec_",
    "copy": "copy",
    "link": "link",
    "events": "events",
    "reset": "reset",
    "image": "image",
    "manifest": "manifest",
    "report": "report",
    "bench": "bench",
    "setup": "setup",
}
"""Each command's name and the file in this folder that is it."""


class Commands(click.Group):
    """Reads the code of a command when it is asked for: what all of them need together takes seconds to read."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"cli.{COMMANDS[cmd_name]}").command
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove that a load balancer has no single point of failure.

    Exit codes: 0 pass, 1 fail (a verdict), 2 usage or bad input, 3 unknown or the host failed us.
    """


def entry() -> int:
    """Runs the command line and turns every expected error into a sentence and its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who stops us by it leaves no lab behind either
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
    except OSError as error:  # a full disk, a closed pipe
        explain(str(error))
        return 3


if __name__ == "__main__":
    sys.exit(entry())
