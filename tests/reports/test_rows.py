"""A row says what it is of, what it is worth and why; these tests know judgements and no page."""

from __future__ import annotations

import msgspec
import pytest

from reports import rows, told
from reports.evidence.schema import Judgement, Verdict
from tests.reports.test_agreement import made_verdict

CALM = {"hole": 0.0, "censored": 0, "new_fail": None, "broken": 0, "lengths": [], "word": "pass"}


def row(**more: object) -> Judgement:
    given = {"what": "black_hole", "key": "black_hole", "measured": "310 ms", "budget": "300 ms", "ok": None}
    return Judgement(**{**given, **more})  # type: ignore[arg-type]


def verdict(*judged: Judgement, **more: object) -> Verdict:
    return msgspec.structs.replace(made_verdict("one", CALM), judged=judged, **more)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(), "black hole"),
        (row(key="broken", use="idle"), "broken connections"),
        (row(key="broken", part="after", where="elsewhere"), "broken connections elsewhere, the heal included"),
        (row(part="after"), "black hole by the heal"),
        (row(key="return", part="after"), "return to service"),
        (row(key="ended"), "a loss that has not ended"),
        (row(key="something_new"), "something new"),
        (row(key="", what="elsewhere.broken"), "broken connections elsewhere"),
        (row(key="", what="reversion.black_hole"), "black hole by the heal"),
        (row(key="", what="something.new_kind"), "new kind"),
    ],
)
def test_a_row_has_a_name_in_words(found: Judgement, said: str) -> None:
    assert rows.name(found) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(low=172.47, high=227.53), "172 to 228 ms"),
        (row(low=172.47, high=None), "at least 172 ms"),
        (row(low=0.0, high=None), "nobody knows how much"),
        (row(low=0.0, high=0.0), ""),
        (row(unit="connections", low=1.0, high=4.0), "1 to 4"),
        (row(unit="percent", low=0.123, high=0.2), "0.12 to 0.2 %"),
        (row(key=""), ""),
    ],
)
def test_a_range_is_rounded_outwards_and_may_be_open(found: Judgement, said: str) -> None:
    assert rows.range_of(found) == said


def test_a_limit_says_whose_it_is() -> None:
    assert rows.limit_of(row()) == "300 ms"
    assert rows.limit_of(row(given=False)) == "300 ms, by default"
    assert rows.limit_of(row(given=False, limit_from="new_fail")) == "300 ms, the limit of new_fail"
    assert rows.limit_of(row(budget="not judged")) == ""


def test_an_unknown_trial_holds_no_limit_against_anybody() -> None:
    broke = row(state="fail", ok=False)
    assert rows.broken(verdict(broke, verdict="fail")) == [broke]
    doubtful = verdict(broke, verdict="unknown")
    assert rows.broken(doubtful) == []
    assert rows.why(doubtful, broke) == rows.NOT_HELD


def test_evidence_from_before_rows_were_typed_shows_its_words_and_computes_nothing() -> None:
    old = row(key="", ok=False, measured="0.41 s", budget="0.3 s")
    found = verdict(old, verdict="fail")
    assert rows.cell(found, "black_hole") == rows.Cell("0.3 s", "fail")
    assert rows.limit_ms(found, "black_hole") is None
    assert told.cause(found) == "Broken budget at eu-l4-1: black hole 0.41 s, budget 0.3 s"
    assert rows.state_of(verdict(old, verdict="unknown"), old) is None


def test_the_worst_of_several_rows_of_a_key_is_shown_with_every_limit() -> None:
    busy, idle = (
        row(key="broken", what="broken", use=use, budget=budget, state=state)
        for use, budget, state in (("busy", "0", "ok"), ("idle", "0.1%", "unknown"))
    )
    assert rows.cell(verdict(busy, idle), "broken") == rows.Cell("0 · 0.1%", "unknown")
    assert rows.cell(verdict(busy, idle), "new_fail") is None
    assert (
        rows.limit_ms(verdict(row(limit=300.0, limit_unit="ms"), row(limit=200.0, limit_unit="ms")), "black_hole")
        == 200
    )


def test_what_stood_by_or_is_not_promised_says_so() -> None:
    assert told.tags(verdict()) == []
    assert told.tags(verdict(carried=False)) == ["stood by"]
    assert "no traffic crossed eu-l4-1" in told.cause(verdict(carried=False))
    assert told.tags(verdict(verdict="unknown", counts=False)) == ["not promised"]
    assert told.tags(verdict(verdict="unknown", carried=False)) == []
