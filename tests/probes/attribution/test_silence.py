"""A silence is as long as nothing comes from a node that probes reach; one that passed ends it, and undoes none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.attribution.silence import NEEDS, TOGETHER_NS, silences

MS = 1_000_000
TOGETHER = TOGETHER_NS // MS


def _silences(reached: list[int], heard: list[int], first: int, last: int) -> list[tuple[int, int]]:
    """In milliseconds, without what each span reaches over."""
    of = [np.array(times, np.int64) * MS for times in (reached, heard)]
    return [(a // MS + TOGETHER, b // MS - TOGETHER) for a, b in silences(of[0], of[1], first * MS, last * MS)]


@pytest.mark.parametrize(
    ("heard", "silent"),
    [
        ([], [(400, 1100)]),
        ([450, 500], [(500, 1100)]),
        ([450, 500, 1000, 1050], [(500, 1000)]),
        ([450, 500, 700, 1000, 1050], [(500, 700), (700, 1000)]),
        (list(range(400, 1101, 90)), []),
    ],
    ids=["never heard", "one at the beginning", "and one at the end", "one amid", "now and then"],
)
def test_silence_lasts_from_one_that_passed_to_the_next(heard: list[int], silent: list[tuple[int, int]]) -> None:
    assert _silences(list(range(400, 1101, 5)), heard, 500, 1000) == silent


def test_too_few_that_reach_a_node_make_no_silence() -> None:
    enough = [500 + 10 * i for i in range(NEEDS)]
    assert _silences(enough, [], 500, 600)
    assert not _silences(enough[1:], [], 500, 600)


@given(heard=st.lists(st.integers(400, 1100), max_size=20))
def test_nobody_was_heard_in_a_silence(heard: list[int]) -> None:
    for since, until in _silences(list(range(400, 1101)), heard, 500, 1000):
        assert until - since >= TOGETHER
        assert not [at for at in heard if since < at < until]
