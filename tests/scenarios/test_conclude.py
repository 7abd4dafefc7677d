"""What is read off a trial before it is judged: what stood in the path, where connections ended, and whose names change at rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.trust import trusted
from scenarios.conclude import ended_here, impairment_checks, not_held_to_names, renamed_at_rest
from scenarios.doubted import doubt_of
from scenarios.measured import classify_connection
from scenarios.protocols import TCP
from tests.scenarios.made import CLOCK, EVENT, PLAN, BrokenBy, clean, done, judged, record
from topologies.budget import Budget
from topologies.impairment import Impairment
from topologies.linux.impair.doing import Impaired, Standing
from topologies.linux.impair.means import Means
from topologies.linux.impair.splice import WireState
from topologies.linux.wire import Drawn, Flow, Seen
from topologies.linux.wired import Crossing

STANDING = Standing("a:eth1", "b:eth1", Impairment(20_000_000), Means(sending=True, program=True, wire=True))


def test_nothing_is_said_where_nothing_was_impaired() -> None:
    assert impairment_checks([]) == []


def test_a_wire_in_user_space_is_told_and_trusted() -> None:
    (check,) = impairment_checks([Impaired(STANDING, Drawn(9), WireState(alive=True, frames=9))])
    assert check.sentence == "a:eth1 → b:eth1: delay 20 ms (by a wire in user space) was in the path."
    assert trusted([check])


def test_a_wire_that_ended_or_lost_frames_of_its_own_is_not_trusted() -> None:
    ended, full = WireState(alive=False), WireState(alive=True, dropped=3)
    checks = impairment_checks([Impaired(STANDING, Drawn(), state) for state in (ended, full)])
    assert not any(check.ok for check in checks)
    assert "has ended" in checks[0].sentence
    assert "dropped 3 frames" in checks[1].sentence


def test_one_that_did_not_do_what_was_asked_makes_the_verdict_unknown() -> None:
    (check,) = impairment_checks([Impaired(STANDING, Drawn(), WireState(alive=False))])
    kept = Budget(black_hole_ns=300_000_000)
    assert judged(clean(), kept).verdict == "pass"
    assert judged(clean(), kept, doubt_of(check)).verdict == "unknown"


# -- where a connection ended --------------------------------------------------------------------------------------

HELD = record()
FLOW = Flow(HELD.src, HELD.sport, HELD.dst, HELD.dport, TCP)
IN, OUT = Crossing("edge", "l4-1", "eth1", FLOW, Seen(1, 2)), Crossing("l4-1", "l7-1", "eth1", FLOW, Seen(1, 2))


@pytest.mark.parametrize(("backend", "own"), [("l4-1", True), ("l7-1", False)])
def test_own_is_what_ended_at_a_failed_element_by_its_name(backend: str, own: bool) -> None:
    several = replace(PLAN, nodes=("l4-1", "edge-1"))
    assert ended_here(done(plan=several), record(backend=backend), FLOW) is own
    assert ended_here(done(before=(IN,)), record(backend=backend), FLOW) is own, "whatever taps saw"


@pytest.mark.parametrize(
    ("before", "openings", "own"),
    [
        ((IN,), (), True),
        ((IN, OUT), (), False),
        ((), (IN,), True),
        ((), (IN, OUT), False),
        ((), (), None),
        ((IN,), (IN, OUT), True),
    ],
)
def test_without_a_name_it_is_told_by_packets_that_entered_and_did_not_leave(
    before: tuple[Crossing, ...], openings: tuple[Crossing, ...], own: bool | None
) -> None:
    """In the control window; else when it was opened, as for an idle one. Else nobody knows."""
    assert ended_here(done(before=before, openings=openings), replace(HELD, backend=None), FLOW) is own


# -- names that change at rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "by", "renamed"),
    [(EVENT - 5, "other-backend", True), (EVENT - 5, "reset", False), (EVENT + 5, "other-backend", False)],
)
def test_a_service_whose_names_change_on_held_connections_at_rest_is_known(
    at: int, by: BrokenBy, renamed: bool
) -> None:
    found = renamed_at_rest([record(broken=at, by=by)], CLOCK)
    assert found == ({(HELD.dst, HELD.dport)} if renamed else set())


def test_where_names_change_at_rest_it_is_told_that_they_are_not_judged() -> None:
    other = record(broken=EVENT + 5, by="other-backend")
    excused, judged_, late = (
        classify_connection(one, CLOCK, touched=True, own=False, excused=excused)
        for one, excused in ((other, True), (other, False), (record(broken=EVENT + 5, by="closed"), True))
    )
    assert excused
    assert judged_
    assert late
    assert not_held_to_names([judged_, late]) == ""
    assert f"{other.dst} port {other.dport} at rest: another backend is not judged" in not_held_to_names(
        [late, excused]
    )
