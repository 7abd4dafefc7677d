"""From a topology file to a lab whose services answer from every vantage. What cannot be, is refused before anything is deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.answering import Answering, Asked
from scenarios.beforehand import beforehand
from scenarios.steady import PATIENT_AFTER_S, Stillness, answering, asked_in_full_size, pinged
from scenarios.waiting import DeadlineMissed, wait_until
from topologies.check import load_checked
from topologies.contract import Contract
from topologies.linux.lab import Deployed, LinuxLab
from topologies.model import Topology
from topologies.runtime import NoSuchLab, RuntimeFailure, Say
from topologies.runtimes import deploy, destroy, images_of
from topologies.source import load_topology
from topologies.stages import waited_for

CONVERGED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Booted:
    """A lab in service. `runtime_s`: the runtime's own part; `seconds`: until every service answered everywhere.

    `answering`: what answers whom, asked before anything was broken.
    """

    topology: Topology
    contract: Contract
    lab: LinuxLab
    runtime_s: float
    seconds: float
    answering: Answering = field(default_factory=Answering)

    @property
    def unreached(self) -> Mapping[Asked, str]:
        """(vantage, service, VIP) → why it does not answer there, for what never did though it was asked."""
        return self.answering.unreached

    @property
    def not_asked(self) -> Mapping[Asked, str]:
        """Why it was not asked there: the vantage has no address of that family. No doubt follows from it."""
        return self.answering.not_asked

    @property
    def without_identity(self) -> Mapping[Asked, tuple[str, ...]]:
        """Where answers lack the header that names their backend: the names of the headers that they carry."""
        return self.answering.without_identity

    @property
    def no_ping(self) -> frozenset[tuple[str, str]]:
        """(vantage, VIP) of services that are pinged, where no ping is answered."""
        return self.answering.no_ping


@dataclass(frozen=True, slots=True)
class Alone:
    """A lab without a contract: nobody was promised anything, so nothing is asked for. Times as in `Booted`."""

    topology: Topology
    lab: LinuxLab
    runtime_s: float
    seconds: float


def take_down(lab: LinuxLab) -> None:
    """Lets go of the lab and takes it off the host; one that somebody took down already is gone. Raises RuntimeFailure."""
    try:
        lab.close()
    finally:
        with suppress(NoSuchLab):
            destroy(lab.topology.name)


def refuse_ended(lab: LinuxLab) -> None:
    """Raises RuntimeFailure for nodes whose command has ended, with their last words; not for those that are there to end."""
    meant = {
        node
        for node, stage in waited_for({n: node.stages for n, node in lab.topology.nodes.items()})
        if stage == "exit"
    }
    for node in lab.ended():
        if node not in meant:
            spec = lab.topology.nodes[node]
            command = " ".join([*(spec.entrypoint or ()), *(spec.cmd or ())]) or f"the command of {spec.image}"
            said = lab.log(node).strip().splitlines()[-1:]
            raise RuntimeFailure(
                f"node {node}: its command ended at once: `{command}`: {said[0] if said else 'it said nothing'}"
            )


def boot_alone(topology_path: Path, *, runtime: str = "oci", say: Say = lambda _: None) -> Alone:
    """Deploys and waits until the routes have settled. Raises as `boot` does."""
    topology = load_topology(topology_path, images_of(runtime))
    began = time.monotonic()
    with ExitStack() as stack:
        deployed = deploy(topology, runtime=runtime, say=say)
        stack.callback(take_down, deployed.lab)
        try:
            wait_until(Stillness(deployed.lab).missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.25, what="convergence")
        except DeadlineMissed as late:  # a lab may be one that never rests
            say(str(late))
        refuse_ended(deployed.lab)
        deployed.lab.prefer()
        stack.pop_all()
    return Alone(topology, deployed.lab, deployed.seconds, time.monotonic() - began)


def boot(
    topology_path: Path, contract_path: Path | None = None, *, runtime: str = "oci", say: Say = lambda _: None
) -> Booted:
    """Deploys and waits until BGP has converged and every service answers from every vantage.

    Raises BadInput, LabExists, ImageError, RuntimeMissing, RuntimeFailure; a lab that does not come into service is taken down again.
    """
    topology, contract = load_checked(topology_path, contract_path, images=images_of(runtime))
    began = time.monotonic()
    with ExitStack() as stack:
        deployed = deploy(topology, runtime=runtime, say=say)
        stack.callback(take_down, deployed.lab)
        count, seconds = len(topology.nodes), deployed.seconds
        say(f"{count} nodes and {len(topology.links)} links in {seconds:.2f} s ({count / seconds:.0f} nodes/s)")
        try:
            booted = _in_service(deployed, topology, contract, began, say)
        except DeadlineMissed as error:
            logs = {n: deployed.lab.log(n).strip().splitlines()[-1:] for n in topology.nodes}
            said = "; ".join(f"{n}: {line[0]}" for n, line in logs.items() if line)
            raise RuntimeFailure(
                f"lab {topology.name} did not come into service: {error}. Last words of its nodes: {said}"[:4000]
            ) from error
        stack.pop_all()
    return booted


def _in_service(deployed: Deployed, topology: Topology, contract: Contract, began: float, say: Say) -> Booted:
    """Waits until services answer and routes are settled. Raises DeadlineMissed, RuntimeFailure."""
    lab, found, asking = deployed.lab, Answering(), time.monotonic()

    def missing() -> str:
        nonlocal found
        refuse_ended(lab)
        found = answering(lab, contract, patient=time.monotonic() - asking > PATIENT_AFTER_S)
        return "; ".join(found.unreached.values())

    try:
        wait_until(missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.2, what="services that do not answer")
        if not found.unserved(contract):
            where = "where it is asked" if found.not_asked else "from every vantage"
            say(f"every service answers {where} after {time.monotonic() - began:.1f} s")
    except DeadlineMissed as late:
        if found.answered(contract):
            say(f"going on with the rest: {late}")
    if not found.answered(contract):  # there is nothing to measure
        raise DeadlineMissed(
            "; ".join(f"{name} does not answer: {why}" for name, why in found.unserved(contract).items())
        )
    seconds = time.monotonic() - began
    lab.prefer()
    wait_until(Stillness(lab).missing, deadline_s=CONVERGED_WITHIN_S, every_s=0.25, what="convergence")
    say(f"routes are settled after {time.monotonic() - began:.1f} s")
    found = asked_in_full_size(lab, contract, pinged(lab, contract, found))
    for told in beforehand(contract, found):
        say(str(told))
    return Booted(topology, contract, lab, deployed.seconds, seconds, found)
