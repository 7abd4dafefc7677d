"""Actions of the stack: when a drain or a withdrawal has done what it says, and when the stack has refused it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from scenarios.faults import action
from scenarios.faults.action import ActionFault
from scenarios.faults.base import ActionRefused
from scenarios.faults.drain import drain
from scenarios.faults.withdraw import withdraw
from scenarios.protocols import TCP, UDP
from scenarios.touching import SYN_PORT
from tests.topologies.budget.made import read
from tests.topologies.files import small_topology
from topologies.contract import Contract
from topologies.linux.ends import End
from topologies.linux.wire import Flow, Seen
from topologies.linux.wired import Crossing
from topologies.problems import BadInput
from topologies.runtime import CommandTooLate, Done, RuntimeFailure

MS = 1_000_000
CLIENT, VIP, ECHO = "10.0.0.1", "203.0.113.10", "203.0.113.20"
ACTIONS = """\
actions:
  l4: {drain: [l4ctl, drain], undrain: [l4ctl, undrain], withdraw: [l4ctl, withdraw], announce: [l4ctl, announce]}
"""
ROUTE = f"route {VIP}/32 table 254 dev 3"
OK = Done(0, "", "")


@dataclass
class Lab:
    """edge0 - l41 - l72: what commands come to, what taps saw, and what routes the neighbours have, as a test says."""

    does: Callable[[], Done] = lambda: OK
    seen: list[Crossing] = field(default_factory=list)
    routes: dict[str, frozenset[str]] = field(default_factory=dict)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    topology = small_topology("edge", "l4", "l7")

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float) -> Done:
        assert node == "l41"
        assert timeout_s > 5
        self.ran.append(tuple(argv))
        return self.does()

    def tapped(self) -> list[Crossing]:
        return self.seen

    def pairs(self) -> list[tuple[End, End]]:
        return [
            (End("edge0", "right", 3, 1500, ""), End("l41", "left", 2, 1500, "")),
            (End("l41", "right", 4, 1500, ""), End("l72", "left", 5, 1500, "")),
        ]

    def snapshot(self, node: str) -> frozenset[str]:
        return self.routes.get(node, frozenset())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """New flows have had their time to show."""
    monkeypatch.setattr(action, "SHOWN_NS", 0)


def contract(*protocols: str, within: str = "") -> Contract:
    actions = ACTIONS.replace("announce]}", f"announce], within: {within}}}") if within else ACTIONS
    return read("drain: {black_hole: 0ms}", *protocols, top=actions)


def made(lab: Lab, which: str = "drain", given: Contract | None = None) -> ActionFault:
    make = drain if which == "drain" else withdraw
    return make(cast(Any, lab), given or contract(), "l41")


def crossing(flow: Flow, first_s: float, last_s: float = 0, *, receiver: str = "l41") -> Crossing:
    """Seen for the first and for the last time so long ago."""
    now = time.monotonic_ns()
    return Crossing("edge0", receiver, "right", flow, Seen(now - int(first_s * 1e9), now - int(last_s * 1e9)))


def through(flow: Flow, first_s: float, last_s: float = 0) -> list[Crossing]:
    """The same, and the node passes it on."""
    into = crossing(flow, first_s, last_s)
    return [into, replace(into, sender="l41", receiver="l72")]


def answered(flow: Flow, first_s: float, last_s: float = 0) -> list[Crossing]:
    """The same, and the node answers it itself."""
    into = crossing(flow, first_s, last_s)
    return [into, replace(into, sender="l41", receiver="edge0", flow=flow.reversed())]


def tcp(sport: int = 40_000, dst: str = VIP) -> Flow:
    return Flow(CLIENT, sport, dst, 80, TCP)


# -- drain: what was established may stay --------------------------------------------------------------------------


def test_a_drained_node_that_carries_only_what_was_established_is_drained() -> None:
    lab = Lab()
    fault = made(lab)
    fault.inject()
    lab.seen = [*through(tcp(), first_s=30), *through(Flow(CLIENT, 20_000, ECHO, 7, UDP), first_s=30)]
    assert fault.missing_effect() == fault.missing_at_heal() == ""
    assert lab.ran == [("l4ctl", "drain")]


def test_a_node_is_not_drained_before_a_new_flow_would_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes on announcing has none in the first milliseconds: its drain was called effective, and what came later not held."""
    lab = Lab()
    fault = made(lab)
    monkeypatch.setattr(action, "SHOWN_NS", 60_000_000_000)
    fault.inject()
    assert fault.missing_effect() == "new flows to l41 would show 60 s after its drain"
    monkeypatch.setattr(action, "SHOWN_NS", 0)
    assert fault.missing_effect() == ""


NEW = {"a SYN": tcp(SYN_PORT), "datagrams": Flow(CLIENT, 20_000, ECHO, 7, UDP)}


@pytest.mark.parametrize("carried", [through, answered])
@pytest.mark.parametrize("flow", NEW.values(), ids=NEW.keys())
def test_a_node_that_carries_a_flow_which_began_after_its_drain_is_not(
    flow: Flow, carried: Callable[[Flow, float], list[Crossing]]
) -> None:
    lab = Lab()
    fault = made(lab)
    fault.inject()
    lab.seen = carried(flow, -0.001)
    assert fault.missing_effect() == "l41 still carries 1 new flows to a VIP"


def test_syns_that_are_one_flow_to_taps_begin_a_flow_each() -> None:
    """On a stack whose services are only accepted, nothing but SYNs tells that new flows come."""
    lab = Lab()
    fault = made(lab, given=contract("tcp"))
    fault.inject()
    lab.seen = through(tcp(SYN_PORT), first_s=30, last_s=-0.001)
    assert "still carries 1 new flows" in fault.missing_effect()
    lab.seen = through(tcp(SYN_PORT), first_s=30, last_s=0.1)
    assert fault.missing_effect() == "", "the last of them came before the drain had ended"


NONE: dict[str, Callable[[], list[Crossing]]] = {
    "over for half a second": lambda: through(tcp(SYN_PORT), first_s=-0.001, last_s=0.6),
    "to no VIP": lambda: through(tcp(SYN_PORT, dst="10.9.9.9"), first_s=-0.001),
    "an answer": lambda: through(tcp(SYN_PORT).reversed(), first_s=-0.001),
    "on its way out": lambda: [crossing(tcp(SYN_PORT), first_s=-0.001, receiver="l72")],
    "neither answered nor passed on": lambda: [crossing(tcp(SYN_PORT), first_s=-0.001)],
    "last packets of what ended elsewhere": lambda: through(tcp(), first_s=-0.001),
}


@pytest.mark.parametrize("other", NONE.values(), ids=NONE.keys())
def test_what_is_no_new_flow_to_a_vip_through_the_node_is_none(other: Callable[[], list[Crossing]]) -> None:
    lab = Lab()
    fault = made(lab)
    fault.inject()
    lab.seen = other()
    assert fault.missing_effect() == ""


def test_where_nothing_ever_begins_every_flow_has_to_go() -> None:
    """Datagrams alone: flows of a prober have begun long ago, and go on."""
    lab = Lab()
    fault = made(lab, given=contract("udp"))
    fault.inject()
    lab.seen = through(Flow(CLIENT, 20_000, ECHO, 7, UDP), first_s=30)
    assert "still carries 1 new flows" in fault.missing_effect()


# -- withdraw: no neighbour has a route ----------------------------------------------------------------------------


def test_a_withdrawal_is_done_when_no_neighbour_has_a_route_by_way_of_the_node() -> None:
    lab = Lab(routes={"edge0": frozenset({ROUTE})})
    fault = made(lab, "withdraw")
    fault.inject()
    assert fault.missing_effect() == f"edge0 still has its route to {VIP}"
    lab.routes = {"edge0": frozenset({ROUTE.replace("dev 3", "dev 9")})}
    assert fault.missing_effect() == "", "another way is no way of this node"
    lab.routes = {}
    assert fault.missing_effect() == fault.missing_at_heal() == ""


def test_flows_do_not_matter_where_neighbours_had_routes() -> None:
    lab = Lab(routes={"edge0": frozenset({ROUTE})})
    fault = made(lab, "withdraw")
    fault.inject()
    lab.routes, lab.seen = {}, through(tcp(SYN_PORT), first_s=-0.001)
    assert fault.missing_effect() == ""


def test_the_nodes_own_route_onward_is_no_neighbours_route_to_it() -> None:
    lab = Lab(routes={"edge0": frozenset({ROUTE}), "l41": frozenset({f"route {VIP}/32 table 254 dev 4"})})
    fault = made(lab, "withdraw")
    fault.inject()
    lab.routes = {"l41": lab.routes["l41"]}
    assert fault.missing_effect() == ""


def test_behind_a_switch_a_withdrawal_is_done_as_a_drain_is() -> None:
    lab = Lab()
    fault = made(lab, "withdraw")
    fault.inject()
    lab.seen = through(tcp(SYN_PORT), first_s=-0.001)
    assert "still carries 1 new flows" in fault.missing_effect()


# -- refused, late, undone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("err", "out", "said"), [("no such VIP\n", "", "no such VIP"), ("", "busy", "busy"), ("", "", "it said nothing")]
)
def test_an_action_that_ends_with_an_error_is_refused_and_its_words_are_told(err: str, out: str, said: str) -> None:
    fault = made(Lab(does=lambda: Done(3, out, err)))
    with pytest.raises(ActionRefused) as caught:
        fault.inject()
    assert str(caught.value) == f"refused to drain: `l4ctl drain` in l41 ended with 3: {said}"
    assert not caught.value.late


def test_an_action_over_its_time_is_refused_as_late() -> None:
    def slow() -> Done:
        until = time.monotonic() + 0.12
        while time.monotonic() < until:
            pass
        return OK

    fault = made(Lab(does=slow), given=contract(within="100ms"))
    with pytest.raises(ActionRefused) as caught:
        fault.inject()
    assert caught.value.late
    assert "it is given 0.1 s" in str(caught.value)
    made(Lab(does=slow)).inject()  # 5 s where none is given


def test_an_action_that_never_ends_is_late_and_one_that_cannot_begin_is_refused() -> None:
    def raises(error: RuntimeFailure) -> Callable[[], Done]:
        def does() -> Done:
            raise error

        return does

    never, missing = CommandTooLate("l41: it did not end within 10 s"), RuntimeFailure("l41: no such file: l4ctl")
    for error, late in ((never, True), (missing, False)):
        with pytest.raises(ActionRefused) as caught:
            made(Lab(does=raises(error))).inject()
        assert caught.value.late is late
        assert str(error) in str(caught.value)


@pytest.mark.parametrize(("which", "undo"), [("drain", "undrain"), ("withdraw", "announce")])
def test_the_heal_runs_what_takes_it_back_and_leaves_nothing_of_ours(which: str, undo: str) -> None:
    lab = Lab()
    fault = made(lab, which)
    fault.inject()
    fault.heal()
    assert lab.ran == [("l4ctl", which), ("l4ctl", undo)]
    assert fault.missing_heal() == ""
    refusing = made(Lab(does=lambda: Done(1, "", "still draining")), which)
    with pytest.raises(ActionRefused, match=f"refused to {undo}"):
        refusing.heal()


def test_the_event_is_when_the_action_begins() -> None:
    before = time.monotonic_ns()
    instant = made(Lab()).inject()
    assert before <= instant.before_ns == instant.after_ns <= time.monotonic_ns()


def test_to_make_one_touches_nothing_and_a_role_without_the_action_is_bad_input() -> None:
    lab = Lab()
    plan = made(lab).plan
    assert (plan.action, plan.planned, plan.element, lab.ran) == (True, True, "L4 node l41", [])
    with pytest.raises(BadInput, match=r"actions\.l7\.drain"):
        drain(cast(Any, lab), contract(), "l72")
