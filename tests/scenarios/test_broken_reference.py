"""What must hold of the reference's broken variants: each boots, serves, and has its defect, which the sound one has not."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.connections import Target
from probes.connections.asking import ask
from scenarios.boot import Booted, boot
from scenarios.waiting import DeadlineMissed, wait_until
from tests.scenarios.broken_reference import VARIANTS, Patch, patched, small, variant
from topologies.check import load_checked
from topologies.linux.netns import inside
from topologies.oci.destroy import destroy
from topologies.reference.generate import CONTRACT, files
from topologies.reference.plan import WEB, WEB_HOST

every = pytest.mark.parametrize("name", list(VARIANTS))


def test_a_patch_that_no_longer_fits_says_so() -> None:
    assert Patch("a.py", "old", "new").applied("an old line") == "an new line"
    for text in ("none", "old and old"):
        with pytest.raises(ValueError, match=r"a\.py: 'old' stands there [02] times, wanted once"):
            Patch("a.py", "old", "new").applied(text)


@every
def test_what_is_patched_is_still_a_program(name: str) -> None:
    for file, text in patched(VARIANTS[name]).items():
        assert text != (Path(__file__).parents[2] / "probes/reference" / file).read_text()
        ast.parse(text, file)


@every
def test_topology_and_contract_are_valid_together_and_the_contract_is_the_references(name: str, tmp_path: Path) -> None:
    path = variant(name, tmp_path)
    topology, contract = load_checked(path)
    assert topology.name == name
    assert contract.path.read_text() == CONTRACT
    assert len(topology.nodes) == 11


@every
def test_a_variant_differs_from_the_reference_where_it_says_and_nowhere_else(name: str, tmp_path: Path) -> None:
    broken, path = VARIANTS[name], variant(name, tmp_path)
    sound = files(tmp_path, small(name), broken.what)
    differing = {file.name for file, text in sound.items() if file.suffix != ".yml" and file.read_text() != text}
    assert differing == {file for _, file in broken.edits}
    nodes = load_checked(path)[0].nodes.values()
    bound = {node.name for node in nodes if any("/opt/reference/" in bind for bind in node.binds)}
    assert bound == (set(broken.nodes) if broken.patches else set())


def test_labs_of_one_variant_can_be_told_apart(tmp_path: Path) -> None:
    assert load_checked(variant("always-well", tmp_path, "another"))[0].name == "another"


# Real labs from here on.


def becomes(met: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes about in time."""
    try:
        wait_until(lambda: "" if met() else "not yet", deadline_s=within_s, what="it")
    except DeadlineMissed:
        return False
    return True


def ctl(booted: Booted, node: str, tool: str, command: str) -> str:
    """What the node's own tool says; it has to report success."""
    done = booted.lab.exec(node, [tool, command])
    assert done.code == 0, done.err
    return done.out


def ways(booted: Booted, node: str) -> set[str]:
    """The nodes that are next hops of this one to the web service's VIP."""
    found = json.loads(booted.lab.exec(node, ["ip", "-j", "route", "show", WEB[0]]).out or "[]")
    interfaces = {hop["dev"] for route in found for hop in route.get("nexthops", [route])}
    ends = [link.endpoints for link in booted.topology.links]
    both = [(a, b) for x, y in ends for a, b in ((x, y), (y, x))]
    return {b.node for a, b in both if a.node == node and a.interface in interfaces}


BOTH_L4, OTHER_L4 = {"eu-l4-1", "eu-l4-2"}, {"eu-l4-2"}


def answered(booted: Booted) -> int:
    """How many of 20 requests are, each on a connection of its own."""

    def one() -> bool:
        with contextlib.suppress(OSError):
            return ask(Target("", WEB[0], 80, WEB_HOST), 0.5)[0].status == 200
        return False

    return inside(booted.lab.netns("eu-client"), lambda: sum(one() for _ in range(20)))


def goes_on_announcing(booted: Booted) -> bool:
    """After a withdrawal and after a drain that both report success."""
    assert ways(booted, "eu-edge-1") == BOTH_L4
    left = []
    for command, undone in (("withdraw", "announce"), ("drain", "undrain")):
        ctl(booted, "eu-l4-1", "l4ctl", command)
        left.append(not becomes(lambda: ways(booted, "eu-edge-1") == OTHER_L4, 2))
        ctl(booted, "eu-l4-1", "l4ctl", undone)
        assert becomes(lambda: ways(booted, "eu-edge-1") == BOTH_L4, 5)
    assert left[0] == left[1]
    return left[0]


def refuses_while_it_drains(booted: Booted) -> bool:
    """Whether a client is refused at an L7 node that has just said that it is drained, or is about to."""

    def refused() -> bool:
        with socket.socket() as one:
            one.settimeout(0.5)
            return one.connect_ex(("10.2.4.1", 80)) != 0

    assert not inside(booted.lab.netns("eu-edge-1"), refused)
    ctl(booted, "eu-l7-1", "l7ctl", "drain")
    found = inside(booted.lab.netns("eu-edge-1"), refused)
    status = json.loads(ctl(booted, "eu-l7-1", "l7ctl", "status"))
    assert status["draining"] is not found, "what only closes its listeners does not tell L4 nodes before"
    ctl(booted, "eu-l7-1", "l7ctl", "undrain")
    assert becomes(lambda: not inside(booted.lab.netns("eu-edge-1"), refused), 10)
    return found


def sends_to_the_frozen(booted: Booted) -> bool:
    booted.lab.signal("eu-l7-1", "envoy", signal.SIGSTOP)
    try:
        return not becomes(lambda: answered(booted) == 20, 3)
    finally:
        booted.lab.signal("eu-l7-1", "envoy", signal.SIGCONT)
        assert becomes(lambda: answered(booted) == 20, 10)


def waits_for_the_hold_time(booted: Booted) -> bool:
    """Whether a silent edge is a next hop for longer than BFD would let it be; not for ever, since BGP has a timer, too."""
    assert ways(booted, "eu-transit") == {"eu-edge-1", "eu-edge-2"}
    killed = time.monotonic()
    booted.lab.kill(["eu-edge-1"])
    assert becomes(lambda: ways(booted, "eu-transit") == {"eu-edge-2"}, 15)
    took = time.monotonic() - killed
    assert took < 1 or took > 4, f"{took:.1f} s is neither BFD's time nor the rest of a hold time of 9 s"
    if took < 1:
        booted.lab.restart(["eu-edge-1"])
        assert becomes(lambda: ways(booted, "eu-transit") == {"eu-edge-1", "eu-edge-2"}, 30)
    return took > 4


def breaks_connections_that_move(booted: Booted) -> bool:
    """Sixty connections, about half of them by the L4 node that withdraws: whether each is answered by the same node after it."""
    request = f"GET / HTTP/1.1\r\nHost: {WEB_HOST}\r\n\r\n".encode()

    def opened() -> list[socket.socket]:
        return [socket.create_connection((WEB[0], 80), 2) for _ in range(60)]

    def who(one: socket.socket) -> bytes:
        with contextlib.suppress(OSError):
            one.sendall(request)
            return one.recv(4096).partition(b"x-backend: ")[2][:7]
        return b""

    connections = inside(booted.lab.netns("eu-client"), opened)
    try:
        before = [who(one) for one in connections]
        assert set(before) == {b"eu-l7-1", b"eu-l7-2"}
        ctl(booted, "eu-l4-1", "l4ctl", "withdraw")
        assert becomes(lambda: ways(booted, "eu-edge-1") == ways(booted, "eu-edge-2") == OTHER_L4, 3)
        return [who(one) for one in connections] != before
    finally:
        for one in connections:
            one.close()
        ctl(booted, "eu-l4-1", "l4ctl", "announce")
        assert becomes(lambda: ways(booted, "eu-edge-1") == BOTH_L4, 5)


def stays_withdrawn(booted: Booted) -> bool:
    found = []
    for command, undone in (("drain", "undrain"), ("withdraw", "announce")):
        ctl(booted, "eu-l4-1", "l4ctl", command)
        assert becomes(lambda: ways(booted, "eu-edge-1") == OTHER_L4, 3)
        ctl(booted, "eu-l4-1", "l4ctl", undone)
        found.append(not becomes(lambda: ways(booted, "eu-edge-1") == BOTH_L4, 3))
    assert found[0] == found[1]
    return found[0]


DEFECTS: dict[str, Callable[[Booted], bool]] = {
    "never-withdraws": goes_on_announcing,
    "closes-listeners": refuses_while_it_drains,
    "always-well": sends_to_the_frozen,
    "edge-without-bfd": waits_for_the_hold_time,
    "other-seeds": breaks_connections_that_move,
    "never-announces-again": stays_withdrawn,
}


@contextlib.contextmanager
def serving(name: str, directory: Path) -> Iterator[Booted]:
    booted = boot(variant(name, directory, f"broken{os.getpid()}"))
    try:
        assert not booted.unreached
        assert answered(booted) == 20
        yield booted
    finally:
        booted.lab.close()
        destroy(booted.topology.name)


lab = pytest.mark.lab
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@lab
@root
def test_the_sound_one_has_none_of_the_defects(tmp_path: Path) -> None:
    with serving("sound", tmp_path) as booted:
        for node in booted.topology.nodes.values():
            listed = set(booted.contract.processes.get(node.role or "", ()))
            assert listed <= set(booted.lab.pids(node.name).values()), node.name
        for name, has_defect in DEFECTS.items():
            assert not has_defect(booted), name
            assert becomes(lambda: answered(booted) == 20, 10), f"after the look for {name}"


@lab
@root
@every
def test_a_broken_one_serves_and_has_its_defect(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as booted:
        assert DEFECTS[name](booted)
