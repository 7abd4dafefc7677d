"""Of two links between the same two nodes, only the one that was cut counts as broken: by name of interface, not of nodes."""

from __future__ import annotations

from collections.abc import Collection

from probes.attribution.reasons import Cause
from scenarios.died import Death, find_deaths
from scenarios.faults.base import FaultPlan
from scenarios.measured import Measured
from scenarios.protocols import UDP
from scenarios.record import tuple_of
from scenarios.touching import Touching
from scenarios.verdict import Judged, judge
from scenarios.ways import ways
from tests.scenarios.made import CLOCK, EVENT, HEAL, done, flow, measured, row, slots, trial_of
from topologies.budget import Budget
from topologies.linux.sights import CUT, Sight, Sights
from topologies.linux.wire import Seen
from topologies.linux.wired import Crossing, Links
from topologies.model import Endpoint, Link

FIRST = Link((Endpoint("r", "eth1"), Endpoint("b", "eth1")))
SECOND = Link((Endpoint("r", "eth2"), Endpoint("b", "eth2")))
UP, OVER_FIRST, OVER_SECOND = 10, 12, 14  # numbers of the ends that send the probes on
FLOWS = range(12)
VIP = "203.0.113.20"


class Lab(Links):
    """us – r = b, as far as what is concluded asks for it."""

    def way_of(self, number: int) -> tuple[str, str, str]:
        return {UP: ("us", "r", "eth1"), OVER_FIRST: ("r", "b", "eth1"), OVER_SECOND: ("r", "b", "eth2")}[number]


def _plan(link: Link) -> FaultPlan:
    return FaultPlan("cut-link", str(link), None, (), f"Cut link {link} silently", f"link {link}", (link,))


def _crossings(over_first: Collection[int]) -> tuple[Crossing, ...]:
    """The probes of these flows over the first link, of the others over the second; their answers the same way."""
    found = []
    for number in FLOWS:
        interface = "eth1" if number in over_first else "eth2"
        there = tuple_of(flow(number=number).trace.flow)
        found += [Crossing("us", "r", "eth1", there, Seen(1, 2)), Crossing("r", "b", interface, there, Seen(1, 2))]
        found += [Crossing("b", "r", interface, there.reversed(), Seen(1, 2))]
    return tuple(found)


def _touched(link: Link, over_first: Collection[int]) -> set[int]:
    """The flows that count as touched by a cut of this link."""
    touching = _touching(link, over_first)
    return {n for n in FLOWS if touching.flow(tuple_of(flow(number=n).trace.flow))}


def _touching(link: Link, over_first: Collection[int]) -> Touching:
    return done(plan=_plan(link), before=_crossings(over_first)).touching


def _judged(link: Link, given: Measured, over_first: Collection[int] = FLOWS) -> Judged:
    carries = _touching(link, over_first).carries({VIP})
    return judge(trial_of(given, Budget(black_hole_ns=1_000_000_000), plan=_plan(link), carries=carries))


def test_a_cut_of_the_link_that_nothing_crossed_touches_nothing_and_it_stood_by() -> None:
    touched = _touched(SECOND, FLOWS)
    found = _judged(SECOND, measured(flow(number=n, touched=n in touched) for n in FLOWS))
    assert touched == set()
    assert (found.verdict, found.stood_by) == ("pass", True)
    assert "stood by: none of 12 flows" in found.reason


def test_a_cut_of_the_link_that_all_crossed_touches_all_and_is_judged() -> None:
    touched = _touched(FIRST, FLOWS)
    assert touched == set(FLOWS)
    assert _judged(FIRST, measured(flow(number=n, touched=n in touched) for n in FLOWS)).verdict == "pass"


def test_a_flow_on_the_link_that_stayed_is_judged_as_one_elsewhere() -> None:
    over_first = set(FLOWS[:2])
    touched = _touched(SECOND, over_first)
    lost = range(EVENT, EVENT + 5)
    given = measured(flow(lost if n in over_first else (), number=n, touched=n in touched) for n in FLOWS)
    found = _judged(SECOND, given, over_first)
    assert touched == {*FLOWS} - over_first
    assert row(found, "black_hole").ok
    assert row(found, "elsewhere.black_hole").ok is False


def test_a_touched_flow_is_followed_over_the_link_that_stayed() -> None:
    there = tuple_of(flow().trace.flow)
    for cut, reached in ((FIRST, {("us", "r"), ("r", "b")}), (SECOND, {("us", "r"), ("r", "b"), ("b", "c")})):
        before = [*_crossings(FLOWS), Crossing("b", "c", "eth3", there, Seen(1, 2))]
        found = ways({there: "us"}, {there}, before, (), (), (cut,))
        assert {(p.a, p.b) for p in found if p.moment == "during"} == reached


def _deaths(link: Link, lost: range, **seen: tuple[int, int]) -> list[Death]:
    """Of a flow whose lost probes all came to r, and from there to what each of `seen` names: (end, kind)."""
    result = flow(lost)
    f = result.trace.flow
    noted = {
        Sight(f.id, f.sport << 16 | f.dport, end, UDP, kind): slots(lost) for end, kind in ((UP, 0), *seen.values())
    }
    return list(find_deaths(measured([result]), CLOCK, Sights(noted), Lab(), _plan(link)).fault)


def test_a_probe_that_the_cut_took_died_at_the_interface_of_the_link_that_was_cut() -> None:
    for link, end, interface in ((FIRST, OVER_FIRST, "eth1"), (SECOND, OVER_SECOND, "eth2")):
        found = _deaths(link, range(EVENT, HEAL), cut=(end, CUT))
        assert {d.cause for d in found} == {Cause("r", "link cut", "cut", interface, "b")}


def test_a_probe_is_taken_for_under_way_on_the_link_that_was_cut_and_on_no_other() -> None:
    """Nothing is known of it beyond the link's far end, shortly before the cut or after."""
    soon = range(EVENT, EVENT + 5)
    found = _deaths(FIRST, soon, passed=(OVER_FIRST, 0))
    assert {d.cause for d in found} == {Cause("r", "link cut", "cut", "eth1", "b")}
    found = _deaths(SECOND, soon, passed=(OVER_FIRST, 0))
    assert found
    assert not any(d.cause.source == "cut" for d in found)
