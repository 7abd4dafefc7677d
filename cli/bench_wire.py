"""`nospof bench wire`: what a wire in user space carries before it loses a frame of its own, and what it adds to a frame's way."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import click
import msgspec

from cli.figures import Row, exit_code
from cli.outcome import HostFailure, console, print_json
from cli.rows import show
from topologies.image.native import compile_program
from topologies.impairment import Impairment
from topologies.linux.impair.means import Means
from topologies.model import Topology
from topologies.runtimes import LinuxLab, deploy, destroy
from topologies.source import load_topology

FAR, PORT, BYTES = "10.0.0.2", 9, 64
RATES = (10_000, 40_000, 80_000, 160_000, 240_000, 320_000, 400_000, 480_000, 560_000, 640_000, 800_000)
SECONDS = 2.0
NOTHING = Impairment(delay_ns=1)
PAIR = """\
name: bench-wire
topology:
  defaults: {kind: linux, image: nospof/base:latest, network-mode: none, cmd: sleep infinity}
  nodes:
    a: {exec: [ip address add 10.0.0.1/24 dev eth1]}
    b:
      exec:
        - ip address add 10.0.0.2/24 dev eth1
        - nft add table inet t
        - nft add chain inet t in '{type filter hook input priority 0;}'
        - nft add rule inet t in udp dport 9 drop
  links: [{endpoints: [a:eth1, b:eth1], mtu: 1500}]
"""


@click.command("wire")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of each, interleaved.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")
def wire(rounds: int, as_json: bool) -> int:
    """Send ever more frames over a link, with a wire in user space of no delay in it and without, and print how many came through.

    It is what delays frames on kernels without netem. On others the wire is not used, and this says so.
    """
    with tempfile.TemporaryDirectory(prefix="nospof-bench-") as scratch:
        path = Path(scratch) / "wire.clab.yml"
        path.write_text(PAIR)
        topology = load_topology(path)
        lab = deploy(topology).lab
        try:
            rows = _rows(lab, topology, rounds)
        finally:
            lab.close()
            destroy(topology.name)
    if as_json:
        print_json({"rounds": rounds, "rows": [msgspec.to_builtins(r) for r in rows]})
    else:
        show(rows)
    return exit_code(rows)


def _rows(lab: LinuxLab, topology: Topology, rounds: int) -> list[Row]:
    (link,) = topology.links
    ceilings: dict[bool, list[float]] = {False: [], True: []}
    ways: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for spliced in (False, True):
            if spliced:
                standing = lab.impair(link, NOTHING, "b")
                if not all(_spliced(one.means) for one in standing):
                    raise HostFailure("this kernel has netem: no wire in user space is used here")
            ways[spliced].append(_round_trip_us(lab))
            ceilings[spliced].append(_ceiling(lab))
            lab.heal_impairment(link)

    def told(what: str, values: list[float], unit: str, worst: float) -> Row:
        return Row(what=what, ours=round(median(values), 1), unit=unit, worst=round(worst, 1), rounds=rounds)

    return [
        told("frames/s without loss, a wire in user space", ceilings[True], "frames/s", min(ceilings[True])),
        told("frames/s without loss, the link alone", ceilings[False], "frames/s", min(ceilings[False])),
        told("round trip, a wire in one direction", ways[True], "µs", max(ways[True])),
        told("round trip, the link alone", ways[False], "µs", max(ways[False])),
    ]


def _spliced(means: Means) -> bool:
    return means.wire


def _round_trip_us(lab: LinuxLab) -> float:
    said = lab.exec("a", ["ping", "-n", "-q", "-c", "200", "-i", "0.005", FAR], timeout_s=30).out
    found = re.search(r"= [0-9.]+/([0-9.]+)/", said)
    if not found:
        raise HostFailure(f"ping over the link said: {said.strip()[-200:]}")
    return float(found[1]) * 1000


def _ceiling(lab: LinuxLab) -> float:
    """The highest of the rates at which every frame that was sent came in, frames per second; 0 where even the lowest lost some."""
    best = 0.0
    for rate in RATES:
        before = _received(lab)
        sent, seconds = _flood(lab, rate)
        if _received(lab) - before < sent or sent < rate * SECONDS * 0.98:
            break
        best = sent / seconds
    return best


def _received(lab: LinuxLab) -> int:
    """Frames that the far end has received; a few of the neighbours' own among them hide no loss of hundreds."""
    raw = lab.exec("b", ["cat", "/sys/class/net/eth1/statistics/rx_packets"]).out
    return int(raw)


def _flood(lab: LinuxLab, rate: int) -> tuple[int, float]:
    program = compile_program(Path(__file__).with_name("flood.c"))
    argv = ["nsenter", f"--net={lab.netns('a')}", str(program), FAR, str(PORT), str(BYTES), str(rate), str(SECONDS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostFailure(f"flood: {done.stderr.strip()}")
    sent, seconds = done.stdout.split()
    return int(sent), float(seconds)
