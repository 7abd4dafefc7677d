"""By which budget a fault is judged: its own, the one for its role first, else its nearest kin's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.budget.made import read
from topologies.budget.classes import CLASSES, FAULTS, judged_by, watch_ns
from topologies.budget.model import Budget

LIMIT = Budget(black_hole_ns=1)
ORDER = {
    "crash-process": ("crash-process/l4", "crash-process", "kill-node/l4", "kill-node"),
    "freeze-process": (
        *("freeze-process/l4", "freeze-process", "crash-process/l4", "crash-process"),
        *("kill-node/l4", "kill-node"),
    ),
    "freeze-node": ("freeze-node/l4", "freeze-node", "kill-node/l4", "kill-node"),
    "kill-node": ("kill-node/l4", "kill-node"),
    "cut-link": ("cut-link/l4", "cut-link"),
    "cut-direction": ("cut-direction/l4", "cut-direction", "cut-link/l4", "cut-link"),
    "close-session": ("close-session/l4", "close-session", "cut-link/l4", "cut-link"),
    "kill-domain": ("kill-domain", "kill-region", "kill-node/l4", "kill-node"),
    "kill-region": ("kill-region",),
    "drain": ("drain/l4", "drain"),
    "withdraw": ("withdraw/l4", "withdraw"),
}


def test_every_class_has_its_order() -> None:
    assert set(ORDER) == set(FAULTS)
    assert {kin for known in CLASSES.values() for kin in known.kin} <= set(FAULTS)
    assert {known.name for known in CLASSES.values() if known.planned} == {"drain", "withdraw"}


@pytest.mark.parametrize("fault", ORDER)
def test_the_nearest_budget_is_taken(fault: str) -> None:
    names = ORDER[fault]
    for index, name in enumerate(names):
        judging = judged_by(dict.fromkeys(names[index:], LIMIT), fault, "l4")
        assert judging is not None
        assert (judging.name, judging.kin) == (name, name.partition("/")[0] != fault)


@given(st.sampled_from(FAULTS), st.sampled_from(["l4", None]), st.sets(st.sampled_from(FAULTS)))
def test_no_other_class_is_ever_taken(fault: str, role: str | None, budgeted: set[str]) -> None:
    judging = judged_by(dict.fromkeys(budgeted, LIMIT), fault, role)
    related = [name for name in (fault, *CLASSES[fault].kin) if name in budgeted]
    assert (judging.name if judging else None) == (related[0] if related else None)


def test_what_is_no_class_has_no_kin() -> None:
    assert judged_by({"kill-node": LIMIT}, "placebo", None) is None
    assert judged_by({"placebo": LIMIT}, "placebo", None) is not None


def test_a_class_that_is_not_promised_hides_what_is_less_specific() -> None:
    contract = read("kill-node/l4: not promised\nkill-node: {black_hole: 300ms}\nfreeze-process: {black_hole: 1s}")
    at_l4, elsewhere = contract.judged_by("kill-node", "l4"), contract.judged_by("kill-node", "client")
    assert at_l4 is not None
    assert (at_l4.name, at_l4.budget.not_promised, at_l4.kin) == ("kill-node/l4", True, False)
    assert elsewhere is not None
    assert elsewhere.name == "kill-node"
    crash, freeze = contract.judged_by("crash-process", "l4"), contract.judged_by("freeze-process", "l4")
    assert crash is not None
    assert (crash.budget.not_promised, crash.kin) == (True, True)
    assert freeze is not None
    assert freeze.name == "freeze-process", "a limit of its own stands before what is not promised of its kin"


def test_a_more_specific_limit_stands_before_what_is_not_promised() -> None:
    judging = read("kill-node: not promised\nkill-node/l4: {black_hole: 1s}").judged_by("kill-node", "l4")
    assert judging is not None
    assert judging.name == "kill-node/l4"


def test_a_budget_that_only_watches_limits_nothing_and_hides_no_limit() -> None:
    contract = read("freeze-process: {watch: 20s}\nkill-node: {black_hole: 1s, watch: 40s}")
    judging = contract.judged_by("freeze-process", "l4")
    assert judging is not None
    assert (judging.name, judging.kin) == ("kill-node", True)
    assert contract.watched_ns("freeze-process", "l4") == 20 * 10**9
    assert read("freeze-process: {watch: 20s}").judged_by("freeze-process") is None


def test_a_fault_is_watched_for_its_own_time_then_its_kins_then_that_of_all() -> None:
    contract = read("kill-node: {black_hole: 1s, watch: 40s}\ncut-link: {black_hole: 1s}", top="watch: 12s\n")
    assert contract.watched_ns("kill-node", "l4") == 40 * 10**9
    assert contract.watched_ns("crash-process", "l4") == 40 * 10**9, "it is judged by that budget"
    assert contract.watched_ns("cut-link") == 12 * 10**9
    assert contract.watched_ns("drain", "l4") == 12 * 10**9
    assert read("kill-node: {black_hole: 1s}").watched_ns("kill-node") is None


def test_kin_by_which_a_fault_is_not_judged_does_not_say_for_how_long() -> None:
    budgets = {"crash-process/l4": LIMIT, "kill-node": Budget(black_hole_ns=1, watch_ns=7)}
    assert watch_ns(budgets, "crash-process", "l4") is None
