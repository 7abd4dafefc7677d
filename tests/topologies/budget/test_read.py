"""What is written into a budget is what is read from it, exactly, and a tighter limit is a smaller number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.topologies.budget.made import read
from topologies.budget.keys import ELSEWHERE, LIMITS, Key
from topologies.budget.model import BrokenBudget, Budget
from topologies.figures import MINUTE, SECOND, Durations, parse_duration

MS = 10**6
UNITS = (("ns", 1), ("us", 10**3), ("ms", MS), ("s", SECOND), ("m", MINUTE))
# A busy host makes an example slow, not wrong.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def written_duration(ns: int, data: st.DataObject) -> str:
    """In any unit in which it is a whole number."""
    name, size = data.draw(st.sampled_from([(name, size) for name, size in UNITS if ns % size == 0]))
    return f"{ns // size}{name}"


def _figure(key: Key, data: st.DataObject, *, own: bool) -> tuple[str, Any]:
    """A right value of the key, as text and as it has to be read."""
    if isinstance(key.right, Durations):
        most = key.right.high_ns if key.right.high_ns is not None else 10 * MINUTE
        ns = data.draw(st.integers(0, most) | st.integers(0, most // MS).map(lambda ms: ms * MS))
        return written_duration(ns, data), ns
    tenths = data.draw(st.integers(0, 1000))
    percent = f"{tenths // 10}.{tenths % 10}%"
    if key.right == "share":
        return percent, float(f"{tenths // 10}.{tenths % 10}")
    count = data.draw(st.integers(0, 10**6))
    choices = [
        (str(count), BrokenBudget("count", count)),
        (percent, BrokenBudget("percentage", float(percent.removesuffix("%")))),
    ]
    return data.draw(st.sampled_from([*choices, ("own", BrokenBudget("own"))] if own else choices))


def _some(keys: tuple[Key, ...], data: st.DataObject, *, own: bool) -> tuple[dict[str, str], Budget]:
    chosen = data.draw(st.lists(st.sampled_from(keys), unique=True, min_size=1))
    figures = {key: _figure(key, data, own=own) for key in chosen}
    return (
        {key.name: text for key, (text, _) in figures.items()},
        replace(Budget(), **{key.field: value for key, (_, value) in figures.items()}),
    )


MEASURED = tuple(key for key in LIMITS if key.measured_by)


@patient
@given(st.booleans(), st.booleans(), st.data())
def test_what_is_written_is_what_is_read(elsewhere: bool, watch: bool, data: st.DataObject) -> None:
    texts, budget = _some(MEASURED, data, own=True)
    if elsewhere:
        inner, others = _some(tuple(key for key in ELSEWHERE if key in MEASURED), data, own=False)
        texts["elsewhere"] = "{" + ", ".join(f"{key}: {text}" for key, text in inner.items()) + "}"
        budget = replace(budget, elsewhere=others)
    if watch:
        ns = data.draw(st.integers(1, 5 * MINUTE))
        texts["watch"], budget = written_duration(ns, data), replace(budget, watch_ns=ns)
    line = ", ".join(f"{key}: {text}" for key, text in data.draw(st.permutations(list(texts.items()))))
    found = read(f"kill-node: {{{line}}}").budgets["kill-node"]
    assert found == budget
    assert (found.judges_touched, found.has_limits) == (texts.keys() - {"return", "elsewhere", "watch"} != set(), True)


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1), st.data())
def test_a_tighter_limit_is_a_smaller_number(one: int, other: int, data: st.DataObject) -> None:
    tight, loose = sorted((one, other))
    read_tight, read_loose = (parse_duration(written_duration(ns, data)) for ns in (tight, loose))
    assert read_tight is not None
    assert read_loose is not None
    assert (read_tight < read_loose) == (tight < loose)


def test_a_class_that_is_not_promised_has_no_limit_at_all() -> None:
    contract = read("kill-region: not promised\nkill-node: 'not promised'")
    assert contract.budgets == {name: Budget(not_promised=True) for name in ("kill-region", "kill-node")}
    assert not contract.budgets["kill-node"].has_limits
    assert contract.budget("kill-node", "l4") is None
    assert contract.budget_name("kill-node", "l4") is None


def test_who_promises_only_others_judges_nothing_that_was_touched() -> None:
    budget = read("kill-node: {elsewhere: {black_hole: 0ms}}").budgets["kill-node"]
    assert (budget.judges_touched, budget.has_limits) == (False, True)


def test_defaults_elsewhere_are_no_loss_and_no_other_limit() -> None:
    budget = read("kill-node: {latency: 20ms, load_fail: 1%, elsewhere: {request_fail: 1s}}").budgets["kill-node"]
    assert budget.untouched == Budget(
        black_hole_ns=0, new_fail_ns=0, request_fail_ns=SECOND, resolve_fail_ns=0, broken=BrokenBudget("count")
    )


def test_the_steady_class_has_the_latency_at_rest() -> None:
    contract = read("steady: {latency_steady: 20ms}")
    assert contract.budgets["steady"] == Budget(latency_steady_ns=20 * MS)
    judging = contract.judged_by("steady")
    assert judging is not None
    assert (judging.name, judging.kin) == ("steady", False)


def test_connections_may_be_limited_where_all_services_are_tcp() -> None:
    """None is held to them, so that the limit has no row: a stack of which the application is not HTTP is judged all the same."""
    budget = read("kill-node: {black_hole: 4s, new_fail: 4s, broken: own}", "tcp", "udp").budgets["kill-node"]
    assert budget.broken == BrokenBudget("own")
