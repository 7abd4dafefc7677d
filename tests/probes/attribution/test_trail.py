"""How far a probe came is told from the links on which it was seen, whatever order they are told in."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.attribution.trail import Leg, Place, places

NODES = [f"n{i}" for i in range(12)]


@st.composite
def _ways(draw: st.DrawFn) -> tuple[list[Leg], int]:
    """A way there and back from n0, each link once per direction, and after how many legs the probe died."""
    there = draw(st.lists(st.sampled_from(NODES[1:]), min_size=1, max_size=6, unique=True))
    back = draw(st.lists(st.sampled_from(NODES[1:]), max_size=5, unique=True).filter(lambda b: there[-1] not in b))
    out = ["n0", *there]
    home = [there[-1], *back, "n0"]
    legs = [Leg(a, b, f"to-{b}") for a, b in itertools.pairwise(out)]
    legs += [Leg(a, b, f"to-{b}", answer=True) for a, b in itertools.pairwise(home)]
    return legs, draw(st.integers(0, len(legs)))


@given(_ways(), st.booleans(), st.randoms())
def test_a_probe_died_at_the_end_of_its_way_or_on_the_link_that_was_cut(
    way: tuple[list[Leg], int], cut: bool, order: random.Random
) -> None:
    legs, died = way
    seen = list(legs[:died])
    turn = next(leg.sender for leg in legs if leg.answer)
    expected: Place | None
    if cut and died < len(legs):
        last = legs[died]
        seen.append(replace(last, cut=True))
        expected = Place(last.sender, last.receiver, last.answer, interface=last.interface)
        expected = replace(expected, turned=turn if last.answer else None)
    elif not seen:
        expected = None
    else:
        last = seen[-1]
        expected = Place(last.receiver, None, last.answer, home=last.receiver == "n0" and last.answer)
        turned = turn if last.answer else None
        expected = replace(expected, turned=turned, via=last.sender, interface=last.interface)
    order.shuffle(seen)
    assert places("n0", 1, [(leg, np.ones(1, np.bool_)) for leg in seen]) == [expected]


@given(_ways(), st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_every_probe_of_a_flow_is_placed_by_itself(way: tuple[list[Leg], int], deaths: list[int]) -> None:
    legs, _ = way
    came = np.array([min(d, len(legs)) for d in deaths])
    seen = [(leg, came > i) for i, leg in enumerate(legs)]
    one_by_one = [places("n0", 1, [(leg, bits[i : i + 1]) for leg, bits in seen])[0] for i in range(len(deaths))]
    alone = [None if not n else one_by_one[i] for i, n in enumerate(came)]
    assert places("n0", len(deaths), seen) == alone


def test_a_link_seen_without_those_before_it_is_no_way() -> None:
    """A frame whose earlier sights were lost: it is placed where its way from the vantage is whole, not guessed further."""
    seen = [(Leg("n0", "a"), np.ones(1, np.bool_)), (Leg("b", "c"), np.ones(1, np.bool_))]
    assert places("n0", 1, seen) == [Place("a", via="n0")]


def test_a_packet_sent_in_circles_ends_the_search() -> None:
    ring = [Leg(a, b) for a in NODES for b in NODES if a != b]
    found = places("n0", 1, [(leg, np.ones(1, np.bool_)) for leg in ring])
    assert found[0] is not None


def test_arrays_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="each of 2 probes"):
        places("n0", 2, [(Leg("n0", "a"), np.ones(1, np.bool_))])
