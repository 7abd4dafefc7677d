"""A probe is said to have been seen if and only if it was, of those that are still held."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from topologies.linux.sights import PER_SLOT, SLOTS, Sight, Sights

HELD = SLOTS * PER_SLOT
KEY = Sight(7, 0x4E200007, 12, 17, 0)


def _noted(sequence: list[int]) -> Sights:
    """As sights.h notes them, one after another."""
    slots = [0] * SLOTS
    for seq in sequence:
        number, bit = seq // PER_SLOT, 1 << (seq % PER_SLOT)
        at = number % SLOTS
        slots[at] = slots[at] | bit if slots[at] >> 32 == number & 0xFFFFFFFF else (number & 0xFFFFFFFF) << 32 | bit
    raw = np.array(slots, np.uint64).tobytes()
    key = b"".join(v.to_bytes(n, "little") for v, n in ((7, 4), (0x4E200007, 4), (12, 2), (17, 1), (0, 1)))
    return Sights.of([(key, raw)])


@given(
    st.integers(0, 1 << 36), st.sets(st.integers(0, HELD - PER_SLOT - 1)), st.lists(st.integers(0, HELD), max_size=20)
)
def test_it_is_so_over_the_last_probes_of_a_flow(start: int, passed: set[int], asked: list[int]) -> None:
    noted = _noted([start + n for n in sorted(passed)])
    wanted = np.array([start + n for n in asked], np.int64)
    assert noted.has(KEY, wanted).tolist() == [n in passed for n in asked]


@given(st.integers(0, 1 << 20), st.integers(0, HELD))
def test_what_was_overwritten_is_not_said_to_have_been_seen(start: int, ago: int) -> None:
    noted = _noted([start, start + HELD + ago])
    assert not noted.has(KEY, np.array([start + 1], np.int64))[0]
    assert noted.has(KEY, np.array([start + HELD + ago], np.int64))[0]


@given(st.integers(0, 1 << 20), st.integers(0, 2 * HELD), st.integers(0, 2 * HELD))
def test_what_it_forgot_is_what_a_newer_probe_took_the_place_of(start: int, newest: int, asked: int) -> None:
    sequence = list(range(start, start + newest + 1, PER_SLOT))
    last = sequence[-1] // PER_SLOT
    number = (start + asked) // PER_SLOT
    wanted = np.array([start + asked], np.int64)
    assert _noted(sequence).forgot(KEY, wanted)[0] == (number + SLOTS <= last)


def test_a_link_without_sights_saw_nothing_and_forgot_nothing() -> None:
    assert not Sights({}).forgot(KEY, np.array([1, 2], np.int64)).any()
    assert not Sights({}).has(KEY, np.array([1, 2], np.int64)).any()
