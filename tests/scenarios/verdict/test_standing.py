"""How long a fault stands, for all traces of loss: time is a loop over what is seen by then, in steps of 100 ms."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scenarios.verdict.standing import QUIET_NS, SETTLE_NS, AtRest, Seen, Stretch, cap_ns, missing

MS = 1_000_000
STEP_MS = 100
QUIET_MS = (QUIET_NS + SETTLE_NS) // MS
APART_MS = 1_000

traces = st.lists(st.integers(0, 400).map(lambda tenths: tenths * STEP_MS), max_size=40, unique=True).map(sorted)
bursts = st.builds(
    lambda starts, length: sorted({start * STEP_MS + i * STEP_MS for start in starts for i in range(length)}),
    st.lists(st.integers(0, 400), max_size=4),
    st.integers(1, 40),
)
any_trace = traces | bursts


def stretches(lost_ms: Sequence[int]) -> list[Stretch]:
    """Of lost samples in ascending order, less than a second apart."""
    parts: list[list[int]] = []
    for at in lost_ms:
        if parts and at - parts[-1][-1] < APART_MS:
            parts[-1].append(at)
        else:
            parts.append([at])
    return [Stretch(p[0] * MS, p[-1] * MS, len(p)) for p in parts]


def stood_ms(
    lost_ms: Sequence[int] = (),
    *,
    rest: AtRest | None = None,
    timer_ms: int = 0,
    watch_ms: int = 0,
    asked_until_ms: int = 10**9,
    broke_ms: Sequence[int] = (),
    limit_ms: int = 300,
) -> tuple[int, str]:
    """For how long a fault stands, and what was still missing then."""
    cap_ms = cap_ns(timer_ms * MS, watch_ms * MS, limit_ms * MS) // MS
    why = "not looked at yet"
    for now_ms in range(0, cap_ms + 1, STEP_MS):
        why = missing(
            Seen(
                event_ns=0,
                now_ns=now_ms * MS,
                stretches={"one": stretches([t for t in lost_ms if t <= now_ms])},
                at_rest={"one": rest} if rest else {},
                asked_ns=min(now_ms, asked_until_ms) * MS,
                ended_connections=[t * MS for t in broke_ms if t <= now_ms],
                running=["a hold time"] if now_ms < timer_ms else [],
                watch_ns=watch_ms * MS,
            )
        )
        if not why:
            return now_ms, ""
    return cap_ms, why


def first_quiet_ms(lost_ms: Sequence[int], not_before_ms: int, cap_ms: int) -> int:
    """The same, said in another way: the first instant without loss in the time of quiet before it, the event counting as one."""
    for now in range(max(QUIET_MS, not_before_ms), cap_ms + 1, STEP_MS):
        if not [t for t in (0, *lost_ms) if now - QUIET_MS < t <= now]:
            return now
    return cap_ms


# -- it ends -------------------------------------------------------------------------------------------------------


@given(
    lost_ms=any_trace,
    timer_ms=st.sampled_from((0, 9_000, 30_000)),
    watch_ms=st.sampled_from((0, 12_000)),
    limit_ms=st.sampled_from((0, 300, 10_000)),
)
def test_it_stands_until_quiet_and_timers_and_watch_are_over_and_never_beyond_its_cap(
    lost_ms: list[int], timer_ms: int, watch_ms: int, limit_ms: int
) -> None:
    cap_ms = max(20_000, timer_ms, watch_ms) + limit_ms + 5_000
    stood, _ = stood_ms(lost_ms, timer_ms=timer_ms, watch_ms=watch_ms, limit_ms=limit_ms)
    assert stood == first_quiet_ms(lost_ms, max(timer_ms, watch_ms), cap_ms)
    assert stood <= cap_ms


def test_loss_that_never_ends_stands_for_the_cap() -> None:
    assert stood_ms(range(0, 60_000, 500)) == (25_300, "5 s without loss are not over")


def test_the_cap_is_the_longest_of_20_s_timers_and_watch_and_the_longest_limit_and_5_s() -> None:
    s = 1_000 * MS
    assert cap_ns(0, 0, 0) == 25 * s
    assert cap_ns(9 * s, 12 * s, 10 * s) == 35 * s
    assert cap_ns(30 * s, 12 * s, 0) == 35 * s
    assert cap_ns(30 * s, 240 * s, 1 * s) == 246 * s


# -- quiet ---------------------------------------------------------------------------------------------------------


def test_without_loss_it_stands_for_five_seconds() -> None:
    assert stood_ms() == (QUIET_MS, "")


@given(until_ms=st.integers(0, 49).map(lambda tenths: tenths * STEP_MS), lost_ms=st.sampled_from(([], [2_000])))
def test_five_seconds_in_which_nothing_was_asked_are_not_quiet(until_ms: int, lost_ms: list[int]) -> None:
    stood, why = stood_ms(lost_ms, asked_until_ms=until_ms)
    assert stood == 25_300
    assert "nothing was asked" in why


def test_who_was_never_asked_anything_is_not_quiet() -> None:
    assert "nothing was asked" in missing(Seen(0, 20_000 * MS))


def test_a_connection_that_breaks_ends_the_quiet() -> None:
    assert stood_ms(broke_ms=[3_000]) == (3_000 + QUIET_MS, "")
    assert missing(Seen(10_000 * MS, 15_300 * MS, asked_ns=15_300 * MS, ended_connections=[9_000 * MS])) == ""


# -- loss at rest --------------------------------------------------------------------------------------------------


@given(
    period_ms=st.sampled_from((1_000, 2_000, 2_500, 4_000)),
    length=st.integers(1, 3),
    shift_ms=st.integers(0, 9).map(lambda tenths: tenths * STEP_MS),
    watch_ms=st.sampled_from((0, 12_000, 19_000)),
)
def test_loss_no_longer_and_no_denser_than_at_rest_ends_no_quiet(
    period_ms: int, length: int, shift_ms: int, watch_ms: int
) -> None:
    """However long the fault stands, the same loss goes on and is explained."""
    lost = [start + i * STEP_MS for start in range(shift_ms, 26_000, period_ms) for i in range(length)]
    windows = [[t for t in lost if start <= t < start + 5_000] for start in range(10_000, 20_000, STEP_MS)]
    total = max(len(w) for w in windows)
    spans = [s for s in stretches(lost) if 5_000 * MS < s.first_ns < 20_000 * MS]
    if not spans:  # closer than a second: one stretch without end, which no control window holds
        return
    rest = AtRest(max(s.length_ns for s in spans), max(s.lost for s in spans), total)
    assert stood_ms(lost, rest=rest, watch_ms=watch_ms) == (max(QUIET_MS, watch_ms), "")


def test_a_longer_a_denser_and_a_more_frequent_loss_than_at_rest_end_the_quiet() -> None:
    rest = AtRest(100 * MS, 2, 4)
    assert stood_ms([3_000, 3_100], rest=rest)[0] == QUIET_MS
    assert stood_ms([3_000, 3_100, 3_200], rest=rest)[0] == 3_200 + QUIET_MS
    assert stood_ms([3_000, 3_050, 3_100], rest=rest)[0] == 3_100 + QUIET_MS
    assert stood_ms([0, 1_000, 2_000, 3_000, 4_000], rest=rest)[0] == 4_000 + QUIET_MS
    assert stood_ms([0, 1_100, 2_200, 3_300], rest=rest)[0] == QUIET_MS


def test_what_one_series_lost_at_rest_explains_no_other() -> None:
    seen = Seen(0, 6_000 * MS, {"a": [Stretch(3_000 * MS, 3_000 * MS, 1)]}, {"b": AtRest(100 * MS, 9)}, 6_000 * MS)
    assert missing(seen) == "5 s without loss are not over"


# -- timers and watch ----------------------------------------------------------------------------------------------


def test_a_timer_that_runs_keeps_it_and_is_named() -> None:
    assert stood_ms(timer_ms=9_000) == (9_000, "")
    seen = Seen(0, 6_000 * MS, asked_ns=6_000 * MS, running=("the hold time of a", "VRRP of b"))
    assert missing(seen) == "still running: the hold time of a; VRRP of b"


def test_watch_keeps_it() -> None:
    assert stood_ms(watch_ms=12_000) == (12_000, "")
    assert missing(Seen(0, 6_000 * MS, asked_ns=6_000 * MS, watch_ns=12_000 * MS)) == "the contract watches for 12 s"
