"""Which loss belongs to which part of a scenario, and what it adds up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.flows import ANSWERED, CORRUPT, LATE, LOST
from probes.requests import Outcome
from scenarios.measured import (
    LONGER_NS,
    FlowResult,
    RequestsResult,
    classify_connection,
    longest_ns,
    measure_flow,
    measure_requests,
    vantage_figures,
)
from scenarios.timing import convergence
from tests.scenarios.made import (
    CLOCK,
    CONTROL,
    END,
    EVENT,
    HEAL,
    STEP,
    BrokenBy,
    asked,
    connection,
    flow,
    measured,
    record,
    trace,
)

PHASES = st.integers(0, STEP - 1)
IN_CONTROL = st.sets(st.integers(CONTROL, EVENT - 2), max_size=40)  # due more than Δ before the event
IN_FAULT = st.sets(st.integers(EVENT, HEAL - 2), max_size=60)  # the last probe before the heal is answered
IN_RECOVERY = st.sets(st.integers(HEAL, END - 1), max_size=40)
LOSSES = st.sampled_from([LOST, LATE, CORRUPT])


@given(lost=IN_FAULT, phase=PHASES, kind=LOSSES)
def test_n_probes_lost_anywhere_in_the_fault_are_a_black_hole_of_n_intervals(
    lost: set[int], phase: int, kind: int
) -> None:
    found = measure_flow(trace(lost, phase_ns=phase, kind=kind), CLOCK, touched=True)
    assert found.fault.black_hole_ns == len(lost) * STEP
    assert not found.fault.censored
    assert (found.control_lost, found.reversion.lost) == (0, 0)


def test_who_answered_a_flow_in_the_control_window_is_known_by_name() -> None:
    """Behind NAT no tap sees that a flow of datagrams comes to an application; its answers say so."""
    made = trace(set())
    named = replace(made, backend=np.where(made.due < CLOCK.event_ns, 1, 2).astype(np.uint8))
    found = measure_flow(named, CLOCK, touched=False, backends=("", "web1", "web2"))
    assert found.named == {"web1"}
    assert not found.touched
    assert found.answered_by_it().touched
    assert measure_flow(named, CLOCK, touched=False).named == frozenset()


@given(lost=IN_CONTROL, phase=st.integers(0, STEP - 1), kind=LOSSES)
def test_loss_before_the_event_is_control_loss_and_none_of_the_fault(lost: set[int], phase: int, kind: int) -> None:
    found = measure_flow(trace(lost, phase_ns=phase, kind=kind), CLOCK, touched=True)
    # a probe due less than Δ before the event was on its way when it happened
    on_its_way = {i for i in lost if i * STEP + phase >= (EVENT - 1) * STEP}
    assert found.control_lost == len(lost - on_its_way)
    assert found.fault.lost == len(on_its_way)
    assert found.reversion.lost == 0


@given(phase=PHASES)
def test_a_probe_on_its_way_at_the_event_counts_to_the_fault(phase: int) -> None:
    found = measure_flow(trace([EVENT - 1], phase_ns=phase), CLOCK, touched=True)
    assert (found.control_lost, found.fault.lost) == (0, 1)


@given(lost=st.sets(st.integers(EVENT - 40, EVENT - 1)), slowest=st.integers(0, 30 * STEP), back=st.integers(1, 40))
def test_a_slow_probe_was_on_its_way_for_as_long_as_answers_took_just_then(
    lost: set[int], slowest: int, back: int
) -> None:
    slow = trace(lost)
    slow.rx[:] = slow.tx + 1
    slow.rx[EVENT - back] = slow.tx[EVENT - back] + slowest
    found = measure_flow(slow, CLOCK, touched=True)
    seen = slowest if back <= 10 and EVENT - back not in lost else 0
    waiting = next(n for n in range(41) if EVENT - 1 - n not in lost)  # those that nothing was answered after
    excused = min(max(STEP, seen, waiting * STEP), 10 * STEP)
    assert found.control_lost == len({i for i in lost if i * STEP < EVENT * STEP - excused})
    assert found.control_lost + found.fault.lost == len(lost)


@given(waiting=st.integers(1, 40), earlier=st.sets(st.integers(EVENT - 80, EVENT - 42)), kind=LOSSES)
def test_what_waits_for_its_answer_at_the_event_was_on_its_way_up_to_ten_intervals(
    waiting: int, earlier: set[int], kind: int
) -> None:
    stopped = set(range(EVENT - waiting, EVENT + 5))
    found = measure_flow(trace(earlier | stopped, kind=kind), CLOCK, touched=True)
    # one that was answered, wrongly, waits no more
    excused = 1 if kind == CORRUPT else min(waiting, 10)
    assert found.control_lost == len(earlier) + waiting - excused
    assert found.fault.lost == excused + 5
    assert found.fault.black_hole_ns == (excused + 5) * STEP


@given(usual=st.integers(0, 8), waiting=st.integers(1, 10))
def test_waiting_at_the_event_is_held_against_how_long_answers_usually_take(usual: int, waiting: int) -> None:
    slow = trace(range(EVENT - waiting, EVENT + 5))
    slow.rx[:] = slow.tx + usual * STEP
    found = measure_flow(slow, CLOCK, touched=True)
    assert found.start_ns == (EVENT - max(1, usual, waiting)) * STEP
    assert found.under_way_ns == max(0, waiting - max(1, usual)) * STEP
    slow.state[EVENT - waiting : EVENT] = ANSWERED
    assert measure_flow(slow, CLOCK, touched=True).under_way_ns == 0, "late answers are answers"


@given(usual=st.integers(0, 3), late=st.integers(4, 90), at=st.integers(0, END - 1), lost=st.booleans())
def test_an_answer_that_comes_late_where_nothing_was_touched_is_held_against_the_usual(
    usual: int, late: int, at: int, lost: bool
) -> None:
    slow = trace([at] if lost else [])
    slow.rx[:] = slow.tx + usual * STEP
    slow.rx[at] = slow.tx[at] + late * STEP
    found = measured([measure_flow(slow, CLOCK, touched=False)])
    # a probe may be answered after the event though it left before
    counts = not lost and at * STEP >= found.flows[0].start_ns
    whole = CLOCK.control_ns, CLOCK.end_ns
    assert found.late_answer_ns(*whole) == (late - usual if counts else 0) * STEP
    until_heal, after = (
        found.late_answer_ns(CLOCK.control_ns, CLOCK.heal_ns),
        found.late_answer_ns(CLOCK.heal_ns, CLOCK.end_ns),
    )
    assert max(until_heal or 0, after or 0) == found.late_answer_ns(*whole), "each part has its own"
    assert (after == 0) or at >= HEAL
    assert measured([measure_flow(slow, CLOCK, touched=True)]).late_answer_ns(*whole) is None


@given(first=st.integers(EVENT, HEAL - 1), phase=PHASES)
def test_loss_that_goes_on_until_the_heal_is_censored_and_at_least_as_long(first: int, phase: int) -> None:
    found = measure_flow(trace(range(first, HEAL), phase_ns=phase), CLOCK, touched=True)
    assert found.fault.censored
    assert found.fault.black_hole_ns == (HEAL - first) * STEP


@given(lost=IN_FAULT, more=IN_RECOVERY, phase=PHASES)
def test_what_the_heal_costs_is_kept_apart_from_what_the_fault_cost(lost: set[int], more: set[int], phase: int) -> None:
    found = measure_flow(trace(lost | more, phase_ns=phase), CLOCK, touched=True)
    assert (found.fault.lost, found.reversion.lost) == (len(lost), len(more))


@given(lost=st.sets(st.integers(0, END - 1)), phase=PHASES)
def test_every_lost_probe_is_counted_exactly_once(lost: set[int], phase: int) -> None:
    found = measure_flow(trace(lost, phase_ns=phase), CLOCK, touched=True)
    assert found.control_lost + found.fault.lost + found.reversion.lost == len(lost)


@given(absent=st.sets(st.integers(0, END - 1)), phase=PHASES)
def test_what_was_never_sent_is_no_loss_of_the_network(absent: set[int], phase: int) -> None:
    found = measure_flow(trace(not_sent=absent, phase_ns=phase), CLOCK, touched=True)
    assert found.control_lost + found.fault.lost + found.reversion.lost == 0
    assert found.fault.black_hole_ns == 0
    assert not found.fault.censored


def test_probes_never_sent_after_a_loss_do_not_end_it() -> None:
    found = measure_flow(trace([EVENT + 5], not_sent=range(EVENT + 6, HEAL)), CLOCK, touched=True)
    assert found.fault.censored
    assert found.fault.black_hole_ns == STEP


# -- connections ---------------------------------------------------------------------------------------------------


def phase_of(**times: float | None) -> tuple[str | None, bool]:
    found = classify_connection(record(**times), CLOCK, touched=True, own=False)  # type: ignore[arg-type]
    assert found is not None
    return found.phase, found.at_event


@pytest.mark.parametrize("by", ["reset", "closed"])
def test_an_idle_one_that_is_asked_after_the_recovery_and_refused_at_once_broke_in_the_recovery(by: BrokenBy) -> None:
    """What probes count until is known two seconds later only; a connection that is asked then tells at once."""
    clock = replace(CLOCK, over_ns=(END + 100) * STEP)
    asked = replace(record(broken=END + 50, by=by), use="idle")
    found = classify_connection(asked, clock, touched=False, own=False)
    assert found is not None
    assert (found.phase, found.at_event) == ("recovery", True)
    later = classify_connection(replace(asked, broken_ns=(END + 101) * STEP), clock, touched=False, own=False)
    assert later is not None
    assert later.phase is None, "that is of the next trial"


def test_one_that_was_closed_before_the_event_has_nothing_to_do_with_it() -> None:
    """As all are that were left to be opened anew in the control window."""
    left = replace(record(), closed_ns=(CONTROL + 10) * STEP)
    assert classify_connection(left, CLOCK, touched=True, own=False) is None
    later = classify_connection(replace(left, closed_ns=(EVENT + 10) * STEP), CLOCK, touched=True, own=False)
    assert later is not None
    assert later.at_event


def test_a_connection_that_held_has_no_phase() -> None:
    assert phase_of() == (None, True)


@given(at=st.floats(CONTROL, EVENT - 0.01))
def test_one_that_broke_before_the_event_broke_in_control_and_is_not_the_faults(at: float) -> None:
    assert phase_of(broken=at) == ("control", False)


@given(at=st.floats(EVENT, HEAL - 0.01))
def test_one_that_broke_between_event_and_heal_broke_by_the_fault(at: float) -> None:
    assert phase_of(broken=at) == ("fault", True)


@given(asked=st.floats(EVENT, HEAL - 0.01), noticed=st.floats(HEAL, END - 0.01))
def test_a_stall_that_began_before_the_heal_is_the_faults_even_if_noticed_after_it(
    asked: float, noticed: float
) -> None:
    assert phase_of(broken=noticed, unanswered=asked) == ("fault", True)


LONGER = LONGER_NS / STEP


@given(began=st.floats(CONTROL, EVENT - 0.01), usual=st.floats(0, 40), noticed=st.floats(EVENT, HEAL))
def test_a_silence_that_had_begun_before_the_event_is_none_of_the_fault(
    began: float, usual: float, noticed: float
) -> None:
    """It is loss at rest where it had gone on for clearly longer than any before; else it may be the fault's."""
    seen = record(broken=noticed, unanswered=began, beats=[(CONTROL - 50, CONTROL - 50 + usual)])
    found = classify_connection(seen, CLOCK, touched=False, own=False)
    assert found is not None
    waited = EVENT - began - usual - LONGER
    if abs(waited) > 0.01:
        assert (found.phase, found.at_event) == (("control", False) if waited > 0 else ("fault", True))


@given(began=st.floats(CONTROL, EVENT - 0.01), by=st.sampled_from(["reset", "closed", "other-backend"]))
def test_a_reset_is_the_faults_however_long_nothing_had_come(began: float, by: BrokenBy) -> None:
    found = classify_connection(record(broken=EVENT + 1, unanswered=began, by=by), CLOCK, touched=True, own=True)
    assert found is not None
    assert (found.phase, found.at_event) == ("fault", True)


@given(asked=st.floats(HEAL, HEAL + 50), took=st.floats(0, 40))
def test_one_that_failed_after_the_heal_broke_in_recovery(asked: float, took: float) -> None:
    assert phase_of(broken=asked + took, unanswered=asked) == ("recovery", True)


def test_one_that_broke_after_the_end_is_as_if_it_held() -> None:
    assert phase_of(broken=END + 1, unanswered=END) == (None, True)


def test_one_gone_before_control_or_opened_after_the_end_is_none_of_this_scenarios() -> None:
    for other in (record(opened=-50, broken=-1), record(opened=END)):
        assert classify_connection(other, CLOCK, touched=True, own=False) is None


@given(opened=st.floats(EVENT + 0.01, HEAL - 20), lived=st.floats(0, 10))
def test_one_opened_during_the_fault_is_no_loss_of_an_established_connection(opened: float, lived: float) -> None:
    found = classify_connection(record(opened=opened, broken=opened + lived), CLOCK, touched=True, own=False)
    assert found is not None
    assert not found.at_event
    assert measured(connections=[found]).broken() == []


@given(at=st.floats(CONTROL, END - 0.01))
def test_one_that_ended_as_its_service_ends_connections_is_counted_and_not_broken(at: float) -> None:
    found = classify_connection(record(broken=at, by="closed"), CLOCK, touched=True, own=False, excused=True)
    assert found is not None
    assert (found.phase, found.at_event) == (None, round(at * STEP) >= EVENT * STEP)


# -- together ------------------------------------------------------------------------------------------------------


@given(losses=st.lists(IN_FAULT, min_size=1, max_size=6))
def test_the_longest_black_hole_is_that_of_the_worst_flow(losses: list[set[int]]) -> None:
    assert longest_ns(flow(lost) for lost in losses) == max(len(lost) for lost in losses) * STEP


def test_without_flows_there_is_no_longest_black_hole() -> None:
    assert longest_ns([]) is None


def test_a_vantages_figures_are_of_its_touched_flows_and_all_its_connections() -> None:
    given_ = measured(
        [flow(range(EVENT, EVENT + 4)), flow([EVENT]), flow(number=3, touched=False)],
        [
            connection(),
            connection(broken=EVENT + 10),
            connection(broken=EVENT + 10, touched=False),
            connection(broken=EVENT - 5),
        ],
    )
    us, eu = vantage_figures(given_, ["us", "eu"])
    assert (us.flows, us.touched, us.min_ms, us.max_ms, us.lost) == (3, 2, 10.0, 40.0, 5)
    assert (us.connections, us.broken, us.stall, us.reset) == (3, 2, 2, 0)
    assert (eu.flows, eu.max_ms, eu.broken) == (0, None, 0)


def test_what_was_whole_again_before_the_event_took_no_time() -> None:
    """A probe under way at the event that is lost, before others that are answered."""
    found = measured([_early()])
    assert found.flows[0].fault.lost == 1
    took = convergence(found)
    assert took is not None
    assert took.time.ms == 0


def _early() -> FlowResult:
    slow = trace([EVENT - 3])
    slow.rx[:] = slow.tx + 4 * STEP
    return measure_flow(slow, CLOCK, touched=True)


# -- requests that bear no backend's name --------------------------------------------------------------------------


def nameless(where: Iterable[int]) -> RequestsResult:
    return asked(where, how=Outcome.NO_IDENTITY)


def test_an_answer_without_a_name_fails_where_all_had_one_before() -> None:
    found = nameless(range(EVENT + 5, EVENT + 10))
    assert (found.control.failed, found.fault.failed) == (0, 5)


@pytest.mark.parametrize("before", [[EVENT - 50], range(EVENT)])
def test_it_does_not_where_one_lacked_it_in_the_control_window(before: Iterable[int]) -> None:
    found = nameless([*before, *range(EVENT + 5, EVENT + 10)])
    assert (found.control.failed, found.fault.failed, found.reversion.failed) == (0, 0, 0)


def test_one_that_was_under_way_at_the_event_is_none_of_the_control_window() -> None:
    """The page of somebody who stands in for a dead backend bears no name."""
    failed = [EVENT - 1, *range(EVENT + 5, EVENT + 10)]
    assert asked(failed, how=Outcome.NO_IDENTITY, took_ns=4 * STEP).fault.failed == 6


@pytest.mark.parametrize(("ago", "control"), [(3, 0), (4, 0), (LONGER_NS // STEP + 4, 1)])
def test_one_that_had_waited_much_longer_than_any_at_rest_is_none_of_the_fault(ago: int, control: int) -> None:
    """Loss at rest that is known only after the event."""
    trace = asked([EVENT - ago]).trace
    done = np.where(trace.outcome == Outcome.OK, trace.done, EVENT * STEP + 1)
    found = measure_requests(replace(trace, done=done), ("l7-1",), CLOCK, touched=False)
    assert (found.control.failed, found.fault.failed) == (control, 1 - control)


def test_one_that_is_late_fails_with_a_name_or_without() -> None:
    late = measure_requests(
        replace(nameless(range(END)).trace, done=np.arange(END) * STEP + 2_100_000_000), (), CLOCK, touched=True
    )
    assert late.fault.failed == late.fault.requests
