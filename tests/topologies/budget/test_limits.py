"""The limits that hold: those given, and for requests the one that follows from them."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.budget.limits import FALLBACK_NS, Limits, effective_limits
from topologies.budget.model import BrokenBudget, Budget

MS = 10**6
DURATIONS = st.none() | st.integers(0, 10**10)
BROKEN = st.none() | st.just(BrokenBudget("own")) | st.builds(BrokenBudget, st.just("count"), st.integers(0, 9))
BUDGETS = st.builds(
    Budget,
    black_hole_ns=DURATIONS,
    new_fail_ns=DURATIONS,
    request_fail_ns=DURATIONS,
    latency_ns=DURATIONS,
    broken=BROKEN,
    load_fail_percent=st.none() | st.floats(0, 100),
    recover_ns=DURATIONS,
    return_ns=DURATIONS,
)


@given(BUDGETS, st.booleans(), st.booleans())
def test_what_is_given_holds_as_it_is(budget: Budget, planned: bool, requests: bool) -> None:
    limits = effective_limits(budget, planned, requests=requests)
    for field in fields(Limits):
        if field.name not in {"request_fail_ns", "request_fail_from"}:
            assert getattr(limits, field.name) == getattr(budget, field.name)
    if budget.request_fail_ns is not None:
        assert (limits.request_fail_ns, limits.request_fail_from) == (budget.request_fail_ns, None)


@given(BUDGETS, st.booleans())
def test_a_limit_for_requests_is_there_wherever_connections_or_probes_have_one(budget: Budget, planned: bool) -> None:
    limits = effective_limits(budget, planned)
    given_ = (budget.request_fail_ns, budget.new_fail_ns, budget.black_hole_ns)
    assert (limits.request_fail_ns is None) == all(limit is None for limit in given_)
    assert (limits.request_fail_from is None) == (budget.request_fail_ns is not None or limits.request_fail_ns is None)


@given(BUDGETS, st.booleans(), st.integers(0, 10**10), st.integers(0, 10**10))
def test_a_tighter_limit_never_loosens_what_follows_from_it(
    budget: Budget, planned: bool, one: int, other: int
) -> None:
    tight, loose = sorted((one, other))
    found = [
        effective_limits(Budget(new_fail_ns=ns, black_hole_ns=budget.black_hole_ns), planned).request_fail_ns or 0
        for ns in (tight, loose)
    ]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("budget", "planned", "ns", "stood_in"),
    [
        (Budget(new_fail_ns=300 * MS, black_hole_ns=500 * MS), False, 300 * MS, "new_fail"),
        (Budget(black_hole_ns=500 * MS), False, 500 * MS, "black_hole"),
        (Budget(new_fail_ns=0), False, FALLBACK_NS, "new_fail"),
        (Budget(new_fail_ns=0), True, 0, "new_fail"),
        (Budget(black_hole_ns=0), True, 0, "black_hole"),
        (Budget(request_fail_ns=0, new_fail_ns=300 * MS), False, 0, None),
        (Budget(broken=BrokenBudget("own")), False, None, None),
        (Budget(elsewhere=Budget(black_hole_ns=0)), False, None, None),
    ],
)
def test_what_stands_in_for_requests(budget: Budget, planned: bool, ns: int | None, stood_in: str | None) -> None:
    limits = effective_limits(budget, planned)
    assert (limits.request_fail_ns, limits.request_fail_from) == (ns, stood_in)


def test_nothing_stands_in_where_no_service_answers_requests() -> None:
    limits = effective_limits(Budget(new_fail_ns=300 * MS), planned=False, requests=False)
    assert (limits.request_fail_ns, limits.request_fail_from) == (None, None)


def test_the_longest_limit_is_not_the_return() -> None:
    assert effective_limits(Budget(black_hole_ns=1, recover_ns=7, return_ns=9), planned=True).longest_ns == 7
    assert Limits(broken=BrokenBudget("own")).longest_ns == 0
