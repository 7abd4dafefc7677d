"""Where packets died is told in rows that add up, in words, and with what nobody knows marked as such."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reports.charts.died import ROWS, draw_died, sentence, where, why
from reports.evidence.schema import Died, WhereDied

_died = st.builds(
    Died,
    node=st.sampled_from(["", "edge", "l4"]),
    reason=st.sampled_from(["link cut", "NO_SOCKET", "no_backend", "not sent on"]),
    source=st.sampled_from(["cut", "kernel", "handed", "silence", "answer", "none"]),
    lost=st.integers(1, 900),
    interface=st.sampled_from([None, "eth1"]),
    toward=st.sampled_from([None, "l7"]),
    answer=st.booleans(),
)


@given(st.lists(_died, min_size=1, max_size=30))
def test_rows_and_what_is_left_out_add_up(causes: list[Died]) -> None:
    lost = sum(c.lost for c in causes)
    known = sum(c.lost for c in causes if c.source != "none")
    drawn = draw_died(WhereDied(lost=lost, attributed=known, causes=tuple(causes)))
    assert drawn is not None
    assert len(drawn.rows) == min(ROWS, len(causes))
    assert sum(r.lost for r in drawn.rows) + drawn.left_out_lost == lost
    assert drawn.unattributed == lost - known
    assert [r.known for r in drawn.rows] == [c.source != "none" for c in causes[:ROWS]]


def test_nothing_lost_or_nothing_looked_at_is_no_table() -> None:
    assert draw_died(None) is None
    assert draw_died(WhereDied(lost=0, attributed=0, causes=())) is None
    assert sentence([]) == ""


def test_places_and_reasons_are_words() -> None:
    cut = Died(node="edge", reason="node dead", source="cut", lost=1, interface="eth2", toward="l4")
    assert (where(cut), why(cut)) == ("edge eth2 → l4", "l4 dead, its links cut")
    closed = Died(node="l7", reason="NO_SOCKET", source="kernel", lost=1, answer=True, words="no socket at that port")
    assert why(closed) == "no socket at that port, on the way back"
    assert why(Died(node="l4", reason="no_backend", source="handed", lost=1)) == "no backend"
    assert where(Died(node="", reason="seen on no link", source="none", lost=1)) == "between vantage and first link"
