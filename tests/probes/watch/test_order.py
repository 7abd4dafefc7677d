"""A route's change after its cause is in order, one before it is not, and one without is neither."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from probes.watch.order import SOON_NS, Placed, order_of

MS = 1_000_000
PREFIX = "203.0.113.20/32"
UPDATE = Placed(1000 * MS, 1000, "edge", "bgp", "update", "transit", PREFIX)
ROUTE = Placed(1010 * MS, MS, "transit", "fib", "replace", None, PREFIX, by_protocol=True)
DOWN = Placed(1000 * MS, 1000, "l4", "bfd", "down", "transit")


def test_a_message_about_its_prefix_and_a_session_of_its_node_are_causes() -> None:
    for cause in (UPDATE, replace(UPDATE, what="withdraw"), DOWN, replace(DOWN, node="transit", peer="l4")):
        assert order_of([ROUTE, cause]).caused == 1


def test_what_is_about_another_prefix_or_another_node_is_none() -> None:
    for other in (replace(UPDATE, prefix="10.0.0.0/8"), replace(UPDATE, peer="edge-2"), replace(DOWN, peer="edge-2")):
        assert order_of([ROUTE, other]).uncaused == 1


@given(st.integers(-500, 500), st.integers(0, 20), st.integers(0, 20))
def test_order_is_judged_within_accuracies(gap_ms: int, acc_a: int, acc_b: int) -> None:
    cause = replace(UPDATE, t_ns=ROUTE.t_ns + gap_ms * MS, acc_ns=acc_a * MS)
    found = order_of([replace(ROUTE, acc_ns=acc_b * MS), cause])
    if gap_ms <= acc_a + acc_b:
        assert (found.caused, found.effects) == (1, 1)
    elif gap_ms * MS <= SOON_NS:
        assert [cause for _, cause in found.wrong] == [cause]
    else:
        assert found.uncaused == 1


def test_routes_of_the_kernels_own_are_no_effects() -> None:
    assert order_of([replace(ROUTE, by_protocol=False), UPDATE]).effects == 0
