"""The stack at rest: what answers nobody though its service answers fails, and latency is held against its limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scenarios.verdict.doubts import Doubt
from scenarios.verdict.steady import judge_steady

MS = 1_000_000
GONE = {("web", "2001:db8:f::10"): "eu-client → web 2001:db8:f::10 (TimeoutError)"}


def test_an_address_that_answers_nobody_while_its_service_answers_elsewhere_fails_and_is_named() -> None:
    found = judge_steady(GONE, (), None)
    assert found.verdict == "fail"
    for part in ("web", "2001:db8:f::10", "TimeoutError"):
        assert part in found.reason


def test_where_everything_answers_and_nothing_is_limited_it_passes() -> None:
    assert judge_steady({}, (), None).verdict == "pass"


@given(st.lists(st.integers(0, 2000 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS))
def test_latency_at_rest_keeps_its_limit_or_fails(took: list[int], limit: int) -> None:
    p99 = sorted(took)[-(-99 * len(took) // 100) - 1]
    found = judge_steady({}, took, limit)
    assert found.verdict == ("pass" if p99 <= limit else "fail")
    assert judge_steady(GONE, took, limit).verdict == "fail"


def test_too_few_requests_tell_nothing() -> None:
    found = judge_steady({}, (1 * MS,) * 9, 20 * MS)
    assert found.verdict == "unknown"
    assert "9 requests" in found.reason


STARVED = Doubt("lab-lateness", "Processes of the lab were late.", "makes", cpu=True)


@given(st.lists(st.integers(0, 2000 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS))
def test_on_a_starved_host_latency_at_rest_is_unknown_and_may_be_asked_once_more(took: list[int], limit: int) -> None:
    found = judge_steady({}, took, limit, (STARVED,))
    assert (found.verdict, found.disturbed) == ("unknown", True)
    assert "Processes of the lab were late." in found.reason
    assert judge_steady(GONE, took, limit, (STARVED,)).verdict == "fail", "who answers nobody is no matter of time"


@given(
    st.lists(st.integers(0, 1900 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS), st.integers(0, 40 * MS)
)
def test_lateness_of_the_instrument_makes_latency_at_rest_unknown_and_never_broken(
    took: list[int], limit: int, late: int
) -> None:
    p99 = sorted(took)[-(-99 * len(took) // 100) - 1]
    found = judge_steady({}, took, limit, lateness_ns=late)
    assert found.verdict == ("pass" if p99 + late <= limit or not p99 else "fail" if p99 - late > limit else "unknown")
