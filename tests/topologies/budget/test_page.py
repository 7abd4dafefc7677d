"""The documentation of budgets is what the code reads: every key and every fault class, once."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.topologies.budget.made import read
from topologies.budget.classes import FAULTS
from topologies.budget.keys import LIMITS, STEADY
from topologies.budget.limits import Limits
from topologies.budget.model import Budget
from topologies.budget.page import PAGE, tables, with_tables


def test_the_documentation_is_what_the_code_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text, "python -m topologies.budget.page"


def test_every_key_and_class_has_a_row() -> None:
    rows = [line.split("`")[1] for line in tables().splitlines() if line.startswith("| `")]
    assert rows == [*(key.name for key in (*LIMITS, *STEADY)), "watch", "elsewhere", *FAULTS]


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the tables"):
        with_tables("# A page\n")


def test_every_key_is_a_field_of_a_budget_and_every_limit_holds() -> None:
    keys = {key.field for key in (*LIMITS, *STEADY)}
    assert {field.name for field in fields(Budget)} == keys | {"watch_ns", "elsewhere", "not_promised"}
    assert {field.name for field in fields(Limits)} == {key.field for key in LIMITS} | {"request_fail_from"}


def test_the_contract_of_the_page_is_a_good_one() -> None:
    text = PAGE.read_text(encoding="utf-8")
    budgets = text.partition("\nbudgets:\n")[2].partition("\nwatch:")[0]
    contract = read("\n".join(line.strip() for line in budgets.splitlines()))
    assert {"steady", "kill-node", "kill-region"} <= set(contract.budgets)
