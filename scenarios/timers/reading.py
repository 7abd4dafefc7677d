"""Reads the timers of a running lab: which programs run in its nodes, and what they or their files say. Thin, and bounded in time.

It changes nothing in a node, and knows no fault.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scenarios.timers import bird, frr, haproxy, keepalived
from scenarios.timers.command_lines import (
    bird_socket,
    haproxy_directory,
    haproxy_files,
    keepalived_file,
    keepalived_instance,
)
from scenarios.timers.model import Found, Sessions, Source
from topologies.linux.lab import LinuxLab
from topologies.linux.processes import by_namespace
from topologies.linux.snapshot import addresses
from topologies.runtime import RuntimeFailure

ANSWER_S = 1.0  # a node that does not answer within this has none, and is named
ALL_S = 5.0  # so long all nodes together may take
AT_ONCE = 2
_FILES = 'for f; do if [ -d "$f" ]; then cat "$f"/*.cfg; else cat "$f"; fi || exit; echo; done'
T = TypeVar("T")
Given = TypeVar("Given")

Programs = Mapping[str, Sequence[int]]
"""Command names of a node that are of interest, each with its pids."""


@dataclass(frozen=True, slots=True)
class NodeTimers:
    """What the programs of one node say: sessions by the program that told them, timers of its files, and what was odd."""

    sessions: Mapping[Source, Sessions] = field(default_factory=dict)
    files: Found = field(default_factory=Found)

    @property
    def settled(self) -> bool:
        """Whether a later look can tell nothing new: all was read, and every session was held."""
        whole = not self.files.said and not any(s.said for s in self.sessions.values())
        return whole and all(s.held for told in self.sessions.values() for s in told.found)


class NoAnswer(Exception):
    """A node did not answer in time, or not with what was asked; the message says which command."""


def programs(lab: LinuxLab) -> dict[str, Programs]:
    """Every node's running programs, by command name."""
    found: dict[str, dict[str, list[int]]] = {}
    for node, pids in by_namespace({n: lab.netns(n) for n in lab.topology.nodes}).items():
        for pid, name in sorted(pids.items()):
            found.setdefault(node, {}).setdefault(name, []).append(pid)
    return {node: found.get(node, {}) for node in lab.topology.nodes}


def address_owners(lab: LinuxLab) -> dict[str, set[str]]:
    """Address → the nodes that have it now."""
    owners: dict[str, set[str]] = {}
    for node in lab.topology.nodes:
        with contextlib.suppress(OSError):
            for address in addresses(lab.netns(node)):
                owners.setdefault(address, set()).add(node)
    return owners


def read_node(lab: LinuxLab, node: str, running: Programs) -> NodeTimers:
    """The timers of a node's programs. Raises NoAnswer."""
    return NodeTimers(read_sessions(lab, node, running), read_files(lab, node, running))


def read_sessions(lab: LinuxLab, node: str, running: Programs) -> dict[Source, Sessions]:
    """The sessions of a node's routers as they are now. Raises NoAnswer."""
    found: dict[Source, Sessions] = {}
    told = []
    if "bgpd" in running:
        told.append(frr.bgp_sessions(_ask(lab, node, frr.BGP)))
    if "ospfd" in running:
        told.append(frr.ospf_sessions(_ask(lab, node, frr.OSPF)))
    if told:
        found["FRR"] = _joined(told)
    told = []
    for program, client in (("bird", "birdc"), ("bird6", "birdc6")):
        for socket in dict.fromkeys(bird_socket(argv) for argv in map(_argv, running.get(program, ()))):
            command = [client, "-r", *(("-s", socket) if socket else ()), *bird.SHOW]
            told.append(bird.bgp_sessions(_ask(lab, node, command)))
    if told:
        found["BIRD"] = _joined(told)
    return found


def read_files(lab: LinuxLab, node: str, running: Programs) -> Found:
    """The timers in the configurations that a node's programs were started with. Raises NoAnswer."""
    found: list[Found] = []
    for files, pid in _given(running.get("haproxy", ()), haproxy_files).items():
        if not files:
            continue
        where = haproxy_directory(_argv(pid)) or _directory(pid)
        found.append(haproxy.timers(node, _content(lab, node, [str(Path(where, f)) for f in files])))
    for (file, instance), pid in _given(running.get("keepalived", ()), _keepalived).items():
        found.append(keepalived.timers(node, _content(lab, node, [str(Path(_directory(pid), file))]), instance))
    timers = tuple(dict.fromkeys(t for each in found for t in each.timers))
    return Found(timers, tuple(s for each in found for s in each.said))


def ask_all(nodes: Collection[str], ask: Callable[[str], T]) -> tuple[dict[str, T], tuple[str, ...]]:
    """The answer of each node, a few asked at a time, and a sentence for each that gave none. It ends `ALL_S` after it began,
    but for the questions that are being answered then."""
    end = time.monotonic() + ALL_S

    def one(node: str) -> T | str:
        if time.monotonic() > end:
            return f"{node} was not asked for its timers: the nodes before it took {ALL_S:g} s"
        try:
            return ask(node)
        except NoAnswer as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as asking:
        told = dict(zip(nodes, asking.map(one, nodes), strict=True))
    said = tuple(answer for answer in told.values() if isinstance(answer, str))
    return {node: answer for node, answer in told.items() if not isinstance(answer, str)}, said


def _joined(told: Sequence[Sessions]) -> Sessions:
    return Sessions(tuple(s for t in told for s in t.found), tuple(s for t in told for s in t.said))


def _ask(lab: LinuxLab, node: str, argv: Sequence[str]) -> str:
    """What a command in the node printed. Raises NoAnswer."""
    try:
        done = lab.exec(node, argv, timeout_s=ANSWER_S)
    except RuntimeFailure as error:
        raise NoAnswer(str(error)) from None
    if done.code != 0:
        words = " ".join((done.err or done.out).split())[:200]
        raise NoAnswer(f"{node}: `{' '.join(argv)}` ended with {done.code}: {words}")
    return done.out


def _content(lab: LinuxLab, node: str, paths: Sequence[str]) -> str:
    """These files of the node, one after the other. Raises NoAnswer."""
    return _ask(lab, node, ["sh", "-c", _FILES, "sh", *paths])


def _given(pids: Sequence[int], read: Callable[[Sequence[str]], Given]) -> dict[Given, int]:
    """What these processes were given on their command lines, each with one that was: a master and its workers were given the same."""
    found: dict[Given, int] = {}
    for pid in pids:
        argv = _argv(pid)
        if argv:
            found.setdefault(read(argv), pid)
    return found


def _keepalived(argv: Sequence[str]) -> tuple[str, str]:
    return keepalived_file(argv), keepalived_instance(argv)


def _argv(pid: int) -> tuple[str, ...]:
    """A process's arguments; none where it is gone."""
    with contextlib.suppress(OSError):
        return tuple(map(os.fsdecode, Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]))
    return ()


def _directory(pid: int) -> str:
    """Where a process works, as it sees it itself; `/` where it is gone."""
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/cwd").readlink())
    return "/"
