"""From a topology file to a lab whose services answer from every vantage. What cannot be, is refused before anything is deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.answers import missing_answer
from scenarios.waiting import DeadlineMissed, wait_until
from topologies.check import load_checked
from topologies.contract import Contract
from topologies.linux.lab import LinuxLab
from topologies.model import Topology
from topologies.runtime import RuntimeFailure, Say
from topologies.runtimes import deploy, destroy, images_of
from topologies.source import load_topology

CONVERGED_WITHIN_S = 60.0
SETTLED_FOR_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Booted:
    """A lab in service. `runtime_s`: the runtime's own part; `seconds`: until every service answered everywhere.

    `unreached`: (vantage, VIP) → why it does not answer there, for what never did.
    """

    topology: Topology
    contract: Contract
    lab: LinuxLab
    runtime_s: float
    seconds: float
    unreached: Mapping[tuple[str, str], str] = field(default_factory=dict)


def _unanswered(lab: LinuxLab, contract: Contract) -> dict[tuple[str, str], str]:
    asked = [
        (v.name, s, vip)
        for v in lab.topology.nodes_with_role("client")
        for s in contract.services.values()
        for vip in s.vip
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda q: missing_answer(lab.netns(q[0]), q[1], q[2]), asked)
    return {
        (vantage, vip): f"{vantage} → {service.name} {vip} ({why})"
        for (vantage, service, vip), why in zip(asked, answers, strict=True)
        if why
    }


class Stillness:
    """Whether every node's addresses and routes have stayed as they are for a while."""

    def __init__(self, lab: LinuxLab) -> None:
        self._lab = lab
        self._last: dict[str, frozenset[str]] = {}
        self._since = 0

    def missing(self) -> str:
        """Empty once nothing has changed for `SETTLED_FOR_NS`."""
        now = dict(self._lab.snapshots(list(self._lab.topology.nodes)))
        moved = [n for n in now if now[n] != self._last.get(n)]
        if moved:
            self._last, self._since = now, time.monotonic_ns()
            return f"routes still change in {', '.join(moved[:4])}"
        return "" if time.monotonic_ns() - self._since >= SETTLED_FOR_NS else "routes have only just settled"


@dataclass(frozen=True, slots=True)
class Alone:
    """A lab without a contract: nobody was promised anything, so nothing is asked for. Times as in `Booted`."""

    topology: Topology
    lab: LinuxLab
    runtime_s: float
    seconds: float


def boot_alone(topology_path: Path, *, runtime: str = "oci", say: Say = lambda _: None) -> Alone:
    """Deploys and waits until the routes have settled. Raises as `boot` does."""
    topology = load_topology(topology_path, images_of(runtime))
    began = time.monotonic()
    deployed = deploy(topology, runtime=runtime, say=say)
    try:
        wait_until(Stillness(deployed.lab).missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.25, what="convergence")
    except DeadlineMissed as late:  # a lab may be one that never rests
        say(str(late))
    except BaseException:
        deployed.lab.close()
        destroy(topology.name)
        raise
    return Alone(topology, deployed.lab, deployed.seconds, time.monotonic() - began)


def boot(
    topology_path: Path, contract_path: Path | None = None, *, runtime: str = "oci", say: Say = lambda _: None
) -> Booted:
    """Deploys and waits until BGP has converged and every service answers from every vantage.

    Raises BadInput, LabExists, ImageError, RuntimeMissing, RuntimeFailure; a lab that does not come into service is taken down again.
    """
    topology, contract = load_checked(topology_path, contract_path, images=images_of(runtime))
    began = time.monotonic()
    deployed = deploy(topology, runtime=runtime, say=say)
    count, seconds = len(topology.nodes), deployed.seconds
    say(f"{count} nodes and {len(topology.links)} links in {seconds:.2f} s ({count / seconds:.0f} nodes/s)")
    try:
        unreached: dict[tuple[str, str], str] = {}

        def missing() -> str:
            unreached.clear()
            unreached.update(_unanswered(deployed.lab, contract))
            return "; ".join(unreached.values())

        try:
            wait_until(missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.2, what="services that do not answer")
            say(f"every service answers from every vantage after {time.monotonic() - began:.1f} s")
        except DeadlineMissed as late:
            if len(unreached) == len(topology.nodes_with_role("client")) * sum(
                len(s.vip) for s in contract.services.values()
            ):
                raise  # nothing answers anybody: there is nothing to measure
            say(f"going on with the rest, which cannot pass: {late}")
        seconds = time.monotonic() - began
        wait_until(Stillness(deployed.lab).missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.25, what="convergence")
        say(f"routes are settled after {time.monotonic() - began:.1f} s")
    except BaseException as error:
        logs = {n: deployed.lab.log(n).strip().splitlines()[-1:] for n in topology.nodes}
        deployed.lab.close()
        destroy(topology.name)
        if isinstance(error, DeadlineMissed):
            said = "; ".join(f"{n}: {line[0]}" for n, line in logs.items() if line)
            raise RuntimeFailure(
                f"lab {topology.name} did not come into service: {error}. Last words of its nodes: {said}"[:4000]
            ) from error
        raise
    return Booted(topology, contract, deployed.lab, deployed.seconds, seconds, unreached)
