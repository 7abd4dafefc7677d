"""From measurements to a trial: which loss has ended, what straddles its 2 s, what was lost at rest, and who never answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.flows import ANSWERED, LATE
from probes.requests import Outcome
from scenarios.measured import Measured, measure_flow
from scenarios.trial import at_rest, held_of, latencies_of, named, series_of, silent
from scenarios.verdict import Lost, Series
from scenarios.verdict.facts import Use
from tests.scenarios.made import (
    CLOCK,
    CONTROL,
    END,
    EVENT,
    HEAL,
    QUIET_NS,
    STEP,
    asked,
    attempts,
    connection,
    connections,
    filled,
    flow,
    measured,
    record,
    trace,
)

QUIET = QUIET_NS // STEP
IN_TIME = 2_000_000_000


def made(kind: str, lost: range, *, touched: bool = True) -> Measured:
    """One series of a kind that lost these samples."""
    if kind == "probe":
        return measured([flow(lost, touched=touched)])
    if kind == "syn":
        return measured(attempts=[attempts(lost, touched=touched)])
    return measured(requests=[asked(lost, touched=touched)])


def only(given_: Measured, *, quiet: bool = True, straddle_ns: int = 0) -> Series:
    (found,) = series_of(given_, quiet=quiet, quiet_ns=QUIET_NS, straddle_ns=straddle_ns)
    return found


every_kind = pytest.mark.parametrize("kind", ["probe", "syn", "request"])

# -- what is counted -----------------------------------------------------------------------------------------------


@every_kind
@given(first=st.integers(EVENT, HEAL - 60), length=st.integers(1, 50))
def test_a_stretch_is_as_long_and_as_large_as_it_was(kind: str, first: int, length: int) -> None:
    found = only(made(kind, range(first, first + length)))
    assert (found.kind, found.vantage, found.step_ns, found.touched) == (kind, "us", STEP, True)
    assert (found.fault.failed, found.fault.figure_ns) == (length, length * STEP)
    assert found.fault.samples >= HEAL - EVENT, "those on their way at the event count, too"
    assert found.fault.ended_ns == (first + length - EVENT) * STEP
    assert not found.fault.open
    assert (found.after.failed, found.after.figure_ns, found.after.samples) == (0, 0, END - HEAL)


@every_kind
def test_what_the_heal_cost_is_counted_from_the_heal(kind: str) -> None:
    found = only(made(kind, range(HEAL + 10, HEAL + 30)))
    assert found.fault.failed == 0
    assert (found.after.failed, found.after.figure_ns, found.after.ended_ns) == (20, 20 * STEP, 30 * STEP)


@every_kind
def test_nothing_lost_ended_at_once(kind: str) -> None:
    found = only(made(kind, range(0)))
    assert found.fault == Lost(found.fault.samples)


@pytest.mark.parametrize("touched", [True, False])
@every_kind
def test_what_crossed_is_touched(kind: str, touched: bool) -> None:
    assert only(made(kind, range(0), touched=touched)).touched is touched


def test_a_ping_is_no_udp_probe() -> None:
    ping = trace()
    ping = replace(ping, flow=replace(ping.flow, transport="icmp", dport=0))
    assert not only(measured([measure_flow(ping, CLOCK, touched=True)])).udp
    assert only(measured([flow()])).udp


# -- loss that has ended, and that has not -------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(
    ("last", "open_"),
    [(HEAL - 1, True), (HEAL - QUIET + 1, True), (HEAL - QUIET - 2, False), (EVENT + 20, False)],
)
def test_where_it_was_not_quiet_before_the_heal_what_was_lost_last_has_not_ended(
    kind: str, last: int, open_: bool
) -> None:
    given_ = made(kind, range(EVENT, last + 1))
    assert only(given_, quiet=False).fault.open is open_


@every_kind
@given(lost=st.sets(st.integers(EVENT, HEAL - 2), min_size=1, max_size=30))
def test_where_it_was_quiet_every_loss_has_ended(kind: str, lost: set[int]) -> None:
    """What is lost at rest ends no quiet, and is no loss without end either."""
    some = {
        "probe": measured([flow(lost)]),
        "syn": measured(attempts=[attempts(lost)]),
        "request": measured(requests=[asked(lost)]),
    }
    assert not only(some[kind]).fault.open


@every_kind
def test_loss_every_now_and_then_until_the_heal_has_not_ended(kind: str) -> None:
    """25 of every 50 steps, for ever: each stretch has an end, and the loss has none."""
    lost = [i for i in range(EVENT, HEAL) if i % 50 < 25]
    some = {
        "probe": measured([flow(lost)]),
        "syn": measured(attempts=[attempts(lost)]),
        "request": measured(requests=[asked(lost)]),
    }
    assert only(some[kind], quiet=False).fault.open


# -- what straddles its 2 s ----------------------------------------------------------------------------------------


def slow(kind: int, beyond_ns: int, count: int = 3) -> Measured:
    """A flow of which so many answers came so long after 2 s (or before, if negative)."""
    one = trace(range(EVENT + 10, EVENT + 10 + count), kind=kind)
    one.rx[:] = np.where(one.state == ANSWERED, one.tx + 1000, 0)
    one.rx[EVENT + 10 : EVENT + 10 + count] = one.tx[EVENT + 10 : EVENT + 10 + count] + IN_TIME + beyond_ns
    return measured([measure_flow(one, CLOCK, touched=True)])


def test_an_answer_just_too_late_may_have_come_in_time() -> None:
    found = only(slow(LATE, 1_000_000), straddle_ns=2_000_000).fault
    assert (found.figure_ns, found.least_ns, found.most_ns) == (3 * STEP, 0, None)


def test_an_answer_just_in_time_may_have_been_too_late() -> None:
    found = only(slow(ANSWERED, -1_000_000), straddle_ns=2_000_000).fault
    assert (found.figure_ns, found.least_ns, found.most_ns) == (0, None, 3 * STEP)


@pytest.mark.parametrize(("kind", "beyond_ns"), [(LATE, 3_000_000), (ANSWERED, -3_000_000)])
def test_an_answer_that_is_clearly_one_or_the_other_straddles_nothing(kind: int, beyond_ns: int) -> None:
    found = only(slow(kind, beyond_ns), straddle_ns=2_000_000).fault
    assert (found.least_ns, found.most_ns) == (None, None)


# -- connections ---------------------------------------------------------------------------------------------------


def test_a_connection_is_told_with_its_use_its_end_and_when_it_broke() -> None:
    whole, own, untold, later, control = held_of(
        measured(
            connections=[
                connection(number=1),
                connection(broken=EVENT + 5, own=True, number=2),
                connection(broken=EVENT + 5, own=None, touched=False, number=3),
                connection(broken=HEAL + 5, number=4),
                connection(broken=EVENT - 5, number=5),
                connection(number=6),
            ]
        )
    )
    assert (whole.broke, whole.end, whole.touched) == (None, "other", True)
    assert (own.broke, own.end) == ("fault", "own")
    assert (untold.broke, untold.end, untold.touched) == ("fault", "untold", False)
    assert (later.broke, later.again_ns) == ("after", 0)
    assert control.broke is None, "one that broke before the event is none of it, and the last one is whole"


@pytest.mark.parametrize("use", ["busy", "idle", "stream"])
def test_a_use_is_kept(use: Use) -> None:
    one = connection(number=1)
    one = replace(one, record=replace(one.record, use=use))
    (found,) = held_of(measured(connections=[one]))
    assert found.use == use


@given(at=st.integers(EVENT + 21, HEAL - 1), later=st.integers(0, 20))
def test_a_place_was_served_again_at_the_first_answer_of_its_next_connection(at: int, later: int) -> None:
    lost = connection(broken=EVENT + 20, number=3)
    found = held_of(measured(connections=[lost, filled(lost, at), filled(lost, at + later)]))
    assert [h.again_ns for h in found] == [(at - EVENT) * STEP]


def test_another_places_connection_does_not_serve_this_one() -> None:
    lost, other = connection(broken=EVENT + 20, number=3), connection(broken=EVENT + 20, number=4)
    found = held_of(measured(connections=[lost, other, filled(other, EVENT + 30)]))
    assert [h.again_ns for h in found] == [None, 30 * STEP]


def test_who_is_accepted_and_not_answered_is_not_served() -> None:
    lost = connection(broken=EVENT + 20, number=3)
    accepted = filled(lost, EVENT + 30)
    accepted = replace(accepted, record=replace(accepted.record, beats=()))
    assert [h.again_ns for h in held_of(measured(connections=[lost, accepted]))] == [None]
    assert [h.again_ns for h in held_of(measured(connections=[lost, filled(lost, HEAL)]))] == [None], (
        "not before the heal"
    )


def test_one_that_was_open_when_it_broke_does_not_serve_its_own_place_again() -> None:
    stalled = connection(broken=EVENT + 20, number=3)
    early = replace(
        stalled,
        record=replace(record(opened=EVENT + 10, beats=[(EVENT + 10, EVENT + 11)]), id=3),
        phase=None,
        at_event=False,
    )
    assert [h.again_ns for h in held_of(measured(connections=[stalled, early]))] == [None]


# -- latencies -----------------------------------------------------------------------------------------------------


def test_latencies_are_of_requests_due_after_the_event_and_a_failed_one_took_two_seconds() -> None:
    given_ = measured(requests=[asked(range(EVENT, EVENT + 3)), asked(touched=False)])
    found = latencies_of(given_, touched=True)
    assert len(found) == HEAL - EVENT, "until the heal, which comes before 5 s are over"
    assert found[:4] == (IN_TIME, IN_TIME, IN_TIME, 3_000_000)
    assert set(latencies_of(given_, touched=False)) == {3_000_000}


def test_after_the_heal_they_are_of_requests_due_then() -> None:
    given_ = measured(requests=[asked(range(HEAL, HEAL + 3))])
    found = latencies_of(given_, touched=True, part="after")
    assert found[:4] == (IN_TIME, IN_TIME, IN_TIME, 3_000_000)
    assert set(latencies_of(given_, touched=True)) == {3_000_000}


def test_an_answer_that_is_whole_and_wrong_is_a_failed_one() -> None:
    found = latencies_of(measured(requests=[asked([EVENT], how=Outcome.WRONG_STATUS)]), touched=True)
    assert found[0] == IN_TIME


def test_a_request_that_was_never_sent_has_no_latency() -> None:
    found = latencies_of(measured(requests=[asked([EVENT, EVENT + 1], how=Outcome.NOT_SENT)]), touched=True)
    assert found == (3_000_000,) * (HEAL - EVENT - 2)


# -- at rest -------------------------------------------------------------------------------------------------------


@every_kind
@given(lost=st.sets(st.integers(CONTROL, EVENT - 15), max_size=20))
def test_what_is_lost_at_rest_is_counted_and_its_stretch_is_known(kind: str, lost: set[int]) -> None:
    some = {
        "probe": measured([flow(lost)]),
        "syn": measured(attempts=[attempts(lost)]),
        "request": measured(requests=[asked(lost)]),
    }
    found, longest = at_rest(some[kind])
    assert found == len(lost)
    assert (longest > 0) == bool(lost)
    runs = [len(run) for run in _runs(sorted(lost))]
    assert longest >= max(runs, default=0) * STEP


def _runs(lost: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for i in lost:
        if found and i == found[-1][-1] + 1:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def test_at_rest_all_series_count_and_the_longest_stretch_is_of_one() -> None:
    given_ = measured(
        [flow([10, 11]), flow([20], number=1)], attempts=[attempts([30])], requests=[asked(range(40, 45))]
    )
    assert at_rest(given_) == (9, 5 * STEP)


def test_what_a_flow_loses_at_rest_is_taken_for_as_long_as_the_fault_stood() -> None:
    """A fault of twice the control window's time would sum up twice as much of it: that broke a budget which nothing had broken."""
    assert (HEAL - EVENT) == 2 * (EVENT - CONTROL)
    assert at_rest(measured([flow([10, 11])])) == (2, 4 * STEP)


@pytest.mark.parametrize("kind", ["syn", "request"])
def test_a_stretch_at_rest_joins_what_is_less_than_a_second_apart(kind: str) -> None:
    """As under the fault: two of them, 500 ms apart, are half a second without a new connection to rely on."""
    some = {"syn": measured(attempts=[attempts([20, 70])]), "request": measured(requests=[asked([20, 70])])}
    assert at_rest(some[kind]) == (2, 51 * STEP)


# -- who never answered --------------------------------------------------------------------------------------------


@every_kind
def test_who_answered_nothing_in_the_control_window_is_named(kind: str) -> None:
    (name,) = silent(made(kind, range(CONTROL, END)))
    assert name.startswith("us → ")
    assert "203.0.113." in name


@every_kind
def test_one_answer_in_the_control_window_is_enough(kind: str) -> None:
    assert silent(made(kind, range(CONTROL + 1, END))) == ()


@every_kind
def test_an_answer_after_the_event_alone_is_none_of_the_control_window(kind: str) -> None:
    assert len(silent(made(kind, range(CONTROL, EVENT)))) == 1


def test_a_service_of_which_one_flow_is_answered_is_not_silent() -> None:
    given_ = measured([flow(range(CONTROL, END)), flow(number=1)])
    assert silent(given_) == ()


def test_requests_without_an_answer_are_silent_though_the_kernel_accepts_connections() -> None:
    given_ = measured(attempts=[attempts()], requests=[asked(range(CONTROL, END))])
    assert silent(given_) == ("us → web 203.0.113.10 (requests)",)


# -- names ---------------------------------------------------------------------------------------------------------


def test_a_series_is_named_so_that_it_can_be_found() -> None:
    assert named(flow(number=7).trace) == "udp 10.0.0.1 port 20007 → 203.0.113.20 port 7 from us"
    assert named(attempts()) == "SYNs of us to web at 203.0.113.10"
    assert named(asked()) == "requests of us to web at 203.0.113.10"
    ping = replace(trace().flow, transport="icmp", sport=0, dport=0)
    assert named(replace(trace(), flow=ping)) == "ping 10.0.0.1 → 203.0.113.20 from us"


def test_without_a_clock_there_is_nothing() -> None:
    given_ = replace(measured([flow()], connections()), clock=None)
    assert series_of(given_, quiet=True, quiet_ns=QUIET_NS, straddle_ns=0) == ()
    assert (held_of(given_), latencies_of(given_, touched=True), silent(given_)) == ((), (), ())
