"""What a contract names and a lab that is up does not have: programs of its actions, processes, streams. Found after the boot and
refused before anything is broken; it breaks and measures nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scenarios.asked import plays
from scenarios.boot import Booted
from scenarios.catalogue import Needs
from scenarios.steady import AT_ONCE
from scenarios.streams import missing_stream
from scenarios.waiting import DeadlineMissed, wait_until
from topologies.contract import Action, Contract
from topologies.lines import line_of
from topologies.linux.lab import LinuxLab
from topologies.linux.rooted import has_program, path_of, programs
from topologies.model import Topology
from topologies.problems import BadInput, Problem, closest, one_of
from topologies.runtime import RuntimeFailure

RUNNING_WITHIN_S = 5.0
"""A process that its supervisor starts over and over is seen within this time."""
_ACTIONS: Mapping[Needs, tuple[Action, Action]] = {"drain": ("drain", "undrain"), "withdraw": ("withdraw", "announce")}


def refuse_missing(booted: Booted, names: Collection[str], targets: Sequence[str] = ()) -> None:
    """Raises BadInput, with all problems, for what these scenarios (none: all that are played unasked) need of the contract and the
    lab has not; RuntimeFailure for a node that has ended meanwhile."""
    topology, contract, lab = booted.topology, booted.contract, booted.lab
    wanted = wanted_actions(topology, contract, names, targets)
    problems = [*_programs(lab, contract, wanted), *_streams(booted)]
    running: dict[str, frozenset[str]] = {}
    crashed = wanted_processes(topology, contract, names, targets)

    def missing() -> str:
        running.update((node, frozenset(lab.pids(node).values())) for node in topology.nodes)
        return "; ".join(map(str, processes_missing(topology, contract, running, crashed)))

    try:
        wait_until(missing, deadline_s=RUNNING_WITHIN_S, every_s=0.2, what="processes of the contract")
    except DeadlineMissed:
        problems += processes_missing(topology, contract, running, crashed)
    if problems:
        raise BadInput(problems)


def wanted_actions(
    topology: Topology, contract: Contract, names: Collection[str], targets: Sequence[str]
) -> list[tuple[str, Action]]:
    """Node and action for every action that may be run: of what is broken by one, that and what takes it back. Pure."""
    found: dict[tuple[str, Action], None] = {}
    for play in plays(topology, contract, names, targets, each=False):
        both = _ACTIONS.get(play.entry.needs, ())
        found |= dict.fromkeys((node, one) for node in play.targets or play.candidates for one in both)
    return list(found)


def wanted_processes(
    topology: Topology, contract: Contract, names: Collection[str], targets: Sequence[str]
) -> list[tuple[str, str]]:
    """Node and process for those that somebody wants to see crash or frozen there, by the node's name. Pure."""
    found: dict[tuple[str, str], None] = {}
    for play in plays(topology, contract, names, targets, each=False):
        if play.entry.needs == "process":
            for node in play.targets:
                found[node, contract.processes[topology.nodes[node].role or ""][0]] = None
    return list(found)


def processes_missing(
    topology: Topology,
    contract: Contract,
    running: Mapping[str, frozenset[str]],
    crashed: Collection[tuple[str, str]] = (),
) -> list[Problem]:
    """Processes of the contract that run in no node of their role, and those of `crashed` that do not run in that node; `running`: the
    names of each node's processes. Where it runs in one of two, the other may stand by. Pure."""
    problems: list[Problem] = []
    for role, listed in contract.processes.items():
        nodes = [node.name for node in topology.nodes_with_role(role)]
        for process in listed:
            without = [
                node for node in nodes if process[:15] not in running[node]
            ]  # the kernel keeps no more of a name
            named = [node for node in without if (node, process) in crashed]
            if without == nodes or named:
                there = sorted({name for node in (without if without == nodes else named) for name in running[node]})
                where = (
                    f"no node of that role ({', '.join(nodes)})" if without == nodes else f"not in {', '.join(named)}"
                )
                found = (
                    f"{process!r}, which runs in {where}" if without == nodes else f"{process!r}, which runs {where}"
                )
                expected = f"{one_of(there)}{closest(process, there)}" if there else "a process that runs there"
                line = line_of(contract.path, "processes", role)
                problems.append(Problem(contract.path, line, f"processes.{role}", found, expected))
    return problems


def _programs(lab: LinuxLab, contract: Contract, wanted: Collection[tuple[str, Action]]) -> Iterator[Problem]:
    """One problem for each action whose program some node has not."""
    without: dict[tuple[str, Action], list[str]] = {}
    there: dict[str, set[str]] = {}
    for node, action in wanted:
        role = lab.topology.nodes[node].role or ""
        argv = contract.action(role, action) or ()
        pid = lab.init_pid(node)
        if pid is None:
            raise RuntimeFailure(f"node {node} has no processes: its command ended")
        root, search = Path(f"/proc/{pid}/root"), path_of(lab.environment(node))
        if not has_program(root, argv[0], search, str(Path(f"/proc/{pid}/cwd").readlink())):
            without.setdefault((role, action), []).append(node)
            there.setdefault(role, programs(root, search))
    for (role, action), nodes in without.items():
        program = (contract.action(role, action) or ("",))[0]
        hint = closest(program, there[role])
        found = f"the program {program!r}, which is not in the node {', '.join(nodes)}"
        expected = f"a program in the node's PATH, or the whole path of one{hint}"
        line = line_of(contract.path, "actions", role, action)
        yield Problem(contract.path, line, f"actions.{role}.{action}", found, expected)


def _streams(booted: Booted) -> Iterator[Problem]:
    """Of each service with a stream, each VIP from the first vantage that it answers; all at a time, each is watched for a while."""
    contract, lab = booted.contract, booted.lab
    first: dict[tuple[str, str], str] = {}
    for vantage, name, vip in booted.answering.answered(contract):
        if contract.services[name].stream is not None:
            first.setdefault((name, vip), vantage)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(lambda a: missing_stream(lab.netns(first[a]), contract.services[a[0]], a[1]), first)
    for ((name, vip), vantage), why in zip(first.items(), told, strict=True):
        if why:
            line = line_of(contract.path, "services", name, "stream")
            found = f"{contract.services[name].stream}, which does not stream: {vantage} → {vip}: {why}"
            expected = "a path that answers 200 with bytes that go on for as long as they are read"
            yield Problem(contract.path, line, f"services.{name}.stream", found, expected)
