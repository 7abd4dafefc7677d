"""Calibrates on a small lab of its own (client, router, responder), and holds the errors against what they should be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.figures import Row, row
from reports.evidence.calibration import AGGREGATE_SHARE, BIAS_SHARE, MEAN_SHARE
from scenarios.calibration.calibrate import Bench, Pass, calibrate
from scenarios.calibration.kept import calibrated, keep
from topologies.image.native import compile_program
from topologies.runtimes import deploy, destroy
from topologies.source import load_topology

MS, US = 1_000_000, 1_000
INTERVALS_NS = (10 * MS, 1 * MS)
PROBERS, FLOWS, HOLES, FEWEST_HOLES = 2, 20, 60, 50
SOURCE, TARGET, PORT = "10.9.1.2", "10.9.2.2", 7
ECHO = Path(__file__).resolve().parents[1] / "probes/reference/l7/echo.c"
CALIBRATION_LAB = """\
name: bench-probe
topology:
  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none, cmd: sleep infinity}}
  nodes:
    client:
      exec: [ip address add 10.9.1.2/24 dev eth1, ip route add default via 10.9.1.1]
    router:
      sysctls: {{net.ipv4.ip_forward: "1"}}
      exec: [ip address add 10.9.1.1/24 dev eth1, ip address add 10.9.2.1/24 dev eth2]
    responder:
      binds: ["{echo}:/echo:ro"]
      cmd: /echo 7 responder
      exec: [ip address add 10.9.2.2/24 dev eth1, ip route add default via 10.9.2.1]
  links:
    - {{endpoints: ["client:eth1", "router:eth1"], mtu: 1500}}
    - {{endpoints: ["router:eth2", "responder:eth1"], mtu: 1500}}
"""

Say = Callable[[str], None]


@contextmanager
def calibration_lab() -> Iterator[Bench]:
    """The lab while the context lasts. Raises as `deploy` does."""
    with tempfile.TemporaryDirectory(prefix="nospof-bench-") as scratch:
        path = Path(scratch) / "probe.clab.yml"
        path.write_text(CALIBRATION_LAB.format(echo=compile_program(ECHO)))
        topology = load_topology(path)
        lab = deploy(topology).lab
        try:
            yield Bench(lab.netns("client"), SOURCE, lab.netns("router"), "eth1", TARGET, PORT)
        finally:
            lab.close()
            destroy(topology.name)


def calibrate_here(seed: int, say: Say) -> list[Row]:
    """Calibrates at every interval and keeps what was found where all of it can be trusted.

    Raises as `calibrate` and `calibration_lab` do, and OSError.
    """
    passes = []
    with calibration_lab() as bench:
        for interval_ns in INTERVALS_NS:
            say(
                f"{HOLES} black holes of 5 to 2,000 ms, {PROBERS} probers with {FLOWS} flows each, a probe every "
                f"{interval_ns / MS:g} ms: about 40 s"
            )
            # On tmpfs: a disk that flushes can hold up a send.
            with tempfile.TemporaryDirectory(prefix="nospof-bench-", dir="/dev/shm") as scratch:
                one = calibrate(
                    bench,
                    Path(scratch),
                    interval_ns=interval_ns,
                    flows=FLOWS,
                    holes=HOLES,
                    probers=PROBERS,
                    seed=seed,
                )
            for doubt in one.doubts:
                say(f"the prober is not to be trusted in this: {doubt.sentence}")
            passes.append(one)
    if any(one.doubts for one in passes):
        say("not kept: a calibration that cannot be trusted tells nothing of later runs")
    else:
        keep(calibrated(one.errors) for one in passes)
    return [figure for one in passes for figure in rows_of_pass(one)]


def rows_of_pass(one: Pass) -> Sequence[Row]:
    """The errors of one interval beside what each should be. What could not be trusted was not measured."""
    found, step = one.errors, one.errors.interval_ns / US
    at = f"at {one.errors.interval_ns / MS:g} ms"

    def us(value_ns: float) -> float | None:
        return None if one.doubts else round(float(abs(value_ns)) / US, 2)

    return (
        row(f"black holes injected, {at}", len(found.truth_ns), "black holes", FEWEST_HOLES, at_least=True),
        row(f"error of a flow beyond its lateness, worst, {at}", us(found.beyond_lateness_ns), "µs", step),
        row(f"error of a flow, mean, {at}", us(found.mean_ns), "µs", MEAN_SHARE * step),
        row(f"error of a flow, bias, {at}", us(found.bias_ns), "µs", BIAS_SHARE * step),
        row(f"error of all flows together, worst, {at}", us(found.worst_aggregate_ns), "µs", AGGREGATE_SHARE * step),
        Row(what=f"the same by counting probes instead, {at}", ours=us(found.counted_ns), unit="µs"),
        Row(
            what=f"left open by departures at a hole's edges, worst, {at}",
            ours=us(float(found.between_ns.max())),
            unit="µs",
        ),
        Row(what=f"of which the flows' phases allow, {at}", ours=us(one.staggering_ns), unit="µs"),
        Row(what=f"lateness at an edge of a hole, worst, {at}", ours=us(float(found.lateness_ns.max())), unit="µs"),
        row(f"probes lost otherwise, or dropped and not lost, {at}", found.unexplained, "probes", 0),
    )
