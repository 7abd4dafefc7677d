"""The figures of false alarms: one alarm is one too many, and what was never looked at is no success."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cli.false_alarms import Window, rows_of_planted, rows_of_windows
from cli.figures import exit_code
from reports.evidence.schema import VerdictWord

words: st.SearchStrategy[VerdictWord] = st.sampled_from(("pass", "fail", "unknown"))
windows = st.lists(st.builds(Window, verdict=words, reason=st.just(""), black_holes=st.integers(0, 3)), max_size=12)


@given(found=windows)
def test_without_hogs_one_black_hole_or_one_fail_is_a_false_alarm(found: list[Window]) -> None:
    code = exit_code(rows_of_windows(found, 10, busy=False))
    alarms = sum(w.black_holes for w in found) + sum(w.verdict == "fail" for w in found)
    assert code == (3 if not found else 1 if alarms else 0)


@given(found=windows)
def test_beside_hogs_none_may_fail_and_at_most_half_be_unknown(found: list[Window]) -> None:
    code = exit_code(rows_of_windows(found, 10, busy=True))
    unknown = sum(w.verdict == "unknown" for w in found)
    bad = any(w.verdict == "fail" for w in found) or 2 * unknown > len(found)
    assert code == (3 if not found else 1 if bad else 0)


@given(found=st.lists(st.sampled_from(("pass", "fail", "unknown")), min_size=1))
def test_a_real_fault_must_not_pass(found: list[str]) -> None:
    assert exit_code(rows_of_planted(found)) == (1 if "pass" in found else 0)
