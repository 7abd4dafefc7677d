"""The stack at rest: an address or a size that is answered to nobody fails, and latency is held against its limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scenarios.verdict.doubts import Doubt
from scenarios.verdict.steady import judge_steady

MS = 1_000_000
GONE = {("web", "2001:db8:f::10"): "eu-client → web 2001:db8:f::10 (TimeoutError)"}
TOO_LARGE = {("echo", "203.0.113.20", 1400): "eu-client: TimeoutError: timed out"}


def test_an_address_that_answers_nobody_while_its_service_answers_elsewhere_fails_and_is_named() -> None:
    found = judge_steady(GONE, {}, (), None)
    assert found.verdict == "fail"
    for part in ("web", "2001:db8:f::10", "TimeoutError"):
        assert part in found.reason


def test_a_size_that_nobody_gets_an_answer_to_fails_by_a_sentence_that_names_service_address_and_size() -> None:
    found = judge_steady({}, TOO_LARGE, (), None)
    assert found.verdict == "fail"
    assert found.reason == (
        "echo at 203.0.113.20 answers nobody's 1,400-byte packets while it answers small ones "
        "(eu-client: TimeoutError: timed out)."
    )
    both = judge_steady(GONE, TOO_LARGE, (), None)
    assert (both.verdict, len(both.rows)) == ("fail", 2)
    assert all(part in both.reason for part in ("2001:db8:f::10", "1,400-byte packets"))


def test_where_everything_answers_and_nothing_is_limited_it_passes() -> None:
    assert judge_steady({}, {}, (), None).verdict == "pass"


@given(st.lists(st.integers(0, 2000 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS))
def test_latency_at_rest_keeps_its_limit_or_fails(took: list[int], limit: int) -> None:
    p99 = sorted(took)[-(-99 * len(took) // 100) - 1]
    found = judge_steady({}, {}, took, limit)
    assert found.verdict == ("pass" if p99 <= limit else "fail")
    assert judge_steady(GONE, {}, took, limit).verdict == judge_steady({}, TOO_LARGE, took, limit).verdict == "fail"


def test_too_few_requests_tell_nothing() -> None:
    found = judge_steady({}, {}, (1 * MS,) * 9, 20 * MS)
    assert found.verdict == "unknown"
    assert "9 requests" in found.reason


STARVED = Doubt("lab-lateness", "Processes of the lab were late.", "makes", cpu=True)


@given(st.lists(st.integers(0, 2000 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS))
def test_on_a_starved_host_latency_at_rest_is_kept_or_unknown_and_then_asked_once_more(
    took: list[int], limit: int
) -> None:
    """A lab short of CPU answers later, never sooner: a limit that it keeps is kept, and one that it breaks tells nothing."""
    kept = judge_steady({}, {}, took, limit).verdict == "pass"
    found = judge_steady({}, {}, took, limit, (STARVED,))
    assert (found.verdict, found.disturbed) == (("pass", False) if kept else ("unknown", True))
    assert kept or "Processes of the lab were late." in found.reason
    assert judge_steady(GONE, {}, took, limit, (STARVED,)).verdict == "fail", "who answers nobody is no matter of time"


@given(
    st.lists(st.integers(0, 1900 * MS), min_size=100, max_size=200), st.integers(0, 1999 * MS), st.integers(0, 40 * MS)
)
def test_lateness_of_the_instrument_makes_latency_at_rest_unknown_and_never_broken(
    took: list[int], limit: int, late: int
) -> None:
    p99 = sorted(took)[-(-99 * len(took) // 100) - 1]
    found = judge_steady({}, {}, took, limit, lateness_ns=late)
    assert found.verdict == ("pass" if p99 + late <= limit or not p99 else "fail" if p99 - late > limit else "unknown")
