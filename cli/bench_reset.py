"""What `nospof bench lab` measures of labs in service: how soon a reset is through, and whether two labs at once keep apart."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from msgspec import structs

from cli.figures import Row, row
from cli.outcome import HostFailure, console
from scenarios.steady import unanswered, wait_for_steady_state
from scenarios.waiting import DeadlineMissed
from topologies.contract import Contract, contract_path_for, load_contract
from topologies.linux.netns import inside
from topologies.model import Topology
from topologies.runtimes import LinuxLab, deploy, destroy

STEADY_S = 60.0
STRAY_PORT = 9  # discard: nobody in the reference asks for it
STRAYS = 20


def _contract(topology: Topology) -> Contract:
    return load_contract(contract_path_for(topology.path), topology)


def _up(topology: Topology) -> LinuxLab:
    lab = deploy(topology).lab
    try:
        wait_for_steady_state(lab, _contract(topology), deadline_s=STEADY_S)
    except BaseException as error:
        lab.close()
        destroy(topology.name)
        if isinstance(error, DeadlineMissed):
            raise HostFailure(str(error)) from error
        raise
    return lab


def resets(topology: Topology, rounds: int) -> list[Row]:
    """A node of the reference is killed, and the lab reset: what that takes beyond the last route that moved."""
    lab = _up(topology)
    whole, beyond = [], []
    try:
        victim = topology.nodes_with_role("l4")[0].name
        for number in range(rounds):
            console.print(f"reset: round {number + 1} of {rounds}")
            lab.kill([victim])
            lab.reset()
            steady = wait_for_steady_state(lab, _contract(topology), deadline_s=STEADY_S)
            whole.append(steady.seconds)
            beyond.append(steady.beyond_routes)
    finally:
        lab.close()
        destroy(topology.name)
    return [
        Row(
            what="reset after the kill of a node, until in service",
            ours=round(median(whole), 2),
            unit="s",
            rounds=rounds,
        ),
        structs.replace(row("… of it beyond the last route that moved", median(beyond), "s", 1), rounds=rounds),
    ]


def twins(one: Topology, other: Topology) -> list[Row]:
    """Two labs of the same addresses at once: both come into service, and what is sent in one is not seen in the other."""
    console.print("two labs at once")
    with ThreadPoolExecutor(2) as pool:
        both = [future.result() for future in [pool.submit(_up, t) for t in (one, other)]]
    try:
        silent = sum(len(unanswered(lab, _contract(lab.topology))) for lab in both)
        for lab in both:
            lab.tap(tuple(lab.topology.nodes))
        _stray(both[0])
        seen = [sum(1 for c in lab.tapped() if c.flow.dport == STRAY_PORT) for lab in both]
        if not seen[0]:
            raise HostFailure("what was sent in a lab was not seen in it: nothing is known of the other")
    finally:
        for lab in both:
            lab.close()
            destroy(lab.topology.name)
    return [
        row("two labs at once: services that do not answer", silent, "", 0),
        row("two labs at once: flows of one seen in the other", seen[1], "", 0),
    ]


def _stray(lab: LinuxLab) -> None:
    vantage = lab.topology.nodes_with_role("client")[0].name
    vip = next(vip for s in _contract(lab.topology).services.values() for vip in s.vip if "." in vip)

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(STRAYS):
                sender.sendto(b"nospof", (vip, STRAY_PORT))

    inside(lab.netns(vantage), send)
