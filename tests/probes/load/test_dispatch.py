"""Every worker gets the same users, whatever becomes of the others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.load.dispatch import SameEverywhere, apportion, users_of_a_worker


@dataclass
class Node:
    id: str


def user(name: str, weight: float = 1, fixed_count: int = 0) -> type:
    return type(name, (), {"weight": weight, "fixed_count": fixed_count})


WEIGHTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0.1, 100), min_size=1, max_size=6)


@given(st.integers(0, 1000), WEIGHTS)
def test_apportioning_gives_out_everything_and_nobody_is_off_by_one(total: int, weights: dict[str, float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts.values()) == total
    whole = sum(weights.values())
    for name, weight in weights.items():
        assert abs(parts[name] - total * weight / whole) < 1 + 1e-6


def test_apportioning_by_no_weight_is_an_error() -> None:
    with pytest.raises(ValueError, match="no weight"):
        apportion(3, {"a": 0.0})


def test_fixed_counts_come_first_and_the_rest_goes_by_weight() -> None:
    classes = [user("Few", fixed_count=1), user("Many", weight=3), user("Some", weight=1)]
    assert users_of_a_worker(9, classes) == {"Few": 1, "Many": 6, "Some": 2}
    assert users_of_a_worker(1, [user("A", fixed_count=5), user("B", fixed_count=5)]) == {"A": 1, "B": 0}


def test_a_worker_that_goes_changes_nothing_for_the_others() -> None:
    nodes = [Node(n) for n in "abc"]
    dispatcher = SameEverywhere(3, worker_nodes=nodes, user_classes=[user("U"), user("V", weight=2)])
    assert list(dispatcher) == []
    dispatcher.new_dispatch(9, 1.0)
    assert list(dispatcher) == [{n: {"U": 1, "V": 2} for n in "abc"}]
    dispatcher.remove_worker(nodes[1])
    dispatcher.remove_worker(nodes[1])
    dispatcher.new_dispatch(9, 1.0)
    assert list(dispatcher) == [{n: {"U": 1, "V": 2} for n in "ac"}]
    dispatcher.add_worker(nodes[1])
    dispatcher.new_dispatch(9, 1.0)
    assert list(dispatcher) == [{n: {"U": 1, "V": 2} for n in "abc"}]
