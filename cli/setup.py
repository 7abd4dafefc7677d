"""`nospof setup`: everything that is slow to make, made now: the image and the compiled parts. The shell door calls it once."""

from __future__ import annotations

from pathlib import Path

import click

from cli.outcome import stamp
from topologies.image.native import compile_bpf, compile_program
from topologies.image.recipe import layers

HERE = Path(__file__).resolve().parents[1]


@click.command("setup")
def command() -> int:
    """Build the lab image and the compiled parts, where the cache has none."""
    say = stamp()
    compile_bpf(HERE / "topologies/linux/wire.bpf.c")
    compile_bpf(HERE / "topologies/linux/impair/splice.bpf.c")
    for native in ("linux/enter", "linux/impair/splice", "oci/init"):
        compile_program(HERE / f"topologies/{native}.c")
    for name in ("prober", "wakeups"):
        compile_program(HERE / f"probes/native/{name}.c")
    layers("nospof/reference:latest", say)
    return 0
