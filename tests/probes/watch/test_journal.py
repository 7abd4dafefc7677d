"""Entries survive being read in any pieces, and gaps tell each sentence once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.watch.gaps import Gaps
from probes.watch.journal import Entry, Kind, Reader, packed
from tests.probes.watch.made import patient

ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(Kind),
    node=st.integers(0, 65535),
    t_ns=st.integers(0, 2**64 - 1),
    since_ns=st.integers(0, 2**64 - 1),
    data=st.binary(max_size=40),
)


@patient
@given(st.lists(ENTRIES, max_size=10), st.lists(st.integers(1, 60), max_size=20))
def test_entries_come_back_however_the_file_is_read(entries: list[Entry], pieces: list[int]) -> None:
    raw = b"".join(packed(e.kind, e.node, e.t_ns, e.since_ns, e.data) for e in entries)
    reader, found, at = Reader(), [], 0
    for size in [*pieces, len(raw)]:
        found += reader.feed(raw[at : at + size])
        at += size
    assert found == entries


def test_gaps_are_told_where_they_overlap_and_how_often() -> None:
    gaps = Gaps()
    gaps.add(10, 20, "late")
    gaps.add(30, 40, "late")
    gaps.add(15, 15, "lost")
    assert gaps.between(0, 9) == []
    assert gaps.between(0, 100) == ["late (2 times)", "lost"]
    assert gaps.between(18, 25) == ["late"]
    assert gaps.between(40, 50) == ["late"]
