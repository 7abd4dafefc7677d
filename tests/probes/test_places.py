"""Which connections a vantage holds: a third of each target's is idle, in halves, and streams come on top."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probes.connections import Target
from probes.connections.places import places_of


def targets(count: int) -> list[Target]:
    return [Target("10.0.0.1", "10.0.0.2", 80 + i, "web.test") for i in range(count)]


@given(st.integers(1, 12), st.integers(1, 300), st.integers(0, 3), st.integers(1, 5))
def test_each_target_has_its_share_of_every_use(to: int, count: int, streams: int, per_stream: int) -> None:
    made = places_of(targets(to), count, targets(streams), per_stream)
    assert [p.id for p in made] == list(range(count + streams * per_stream))
    assert [p.target for p in made[:count]] == [targets(to)[i % to] for i in range(count)]
    assert all((p.half is None) == (p.use != "idle") for p in made)
    for target in targets(to):
        its = [p for p in made[:count] if p.target == target]
        idle = [p for p in its if p.use == "idle"]
        assert len(its) // 3 <= len(idle) <= -(-len(its) // 3)
        halves = [sum(1 for p in idle if p.half == half) for half in (0, 1)]
        assert abs(halves[0] - halves[1]) <= 1
    assert [(p.target, p.use) for p in made[count:]] == [
        (target, "stream") for target in targets(streams) for _ in range(per_stream)
    ]


@given(st.integers(1, 12), st.integers(3, 300))
def test_of_all_together_it_is_a_third(to: int, count: int) -> None:
    idle = [p for p in places_of(targets(to), count) if p.use == "idle"]
    assert abs(len(idle) - count / 3) <= 1 + to / 3


def test_none_is_idle_where_none_is_wanted() -> None:
    assert {p.use for p in places_of(targets(2), 9, idle_every=0)} == {"busy"}


def test_a_hundred_have_halves_of_nearly_seventeen() -> None:
    made = places_of(targets(8), 100, targets(4))
    assert [sum(1 for p in made if p.half == half) for half in (0, 1)] == [17, 16]
    assert sum(1 for p in made if p.use == "stream") == 4
