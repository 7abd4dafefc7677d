"""Reads one entry of a contract's budgets, or says what is wrong with it and what would be right.

Must not know the rest of the contract; of its services it needs the protocols only."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from topologies.budget.classes import CLASSES, FAULTS, STEADY
from topologies.budget.keys import BROKEN_RULE, ELSEWHERE, LIMITS, SHARE_RULE, WATCH, Key
from topologies.budget.keys import STEADY as STEADY_KEYS
from topologies.budget.model import BrokenBudget, Budget
from topologies.document import Value
from topologies.figures import Durations, parse_percentage, read_duration, read_percentage
from topologies.problems import closest, one_of

NOT_PROMISED = "not promised"
_EXAMPLE = "a mapping such as {black_hole: 300ms}"
_STEADY_EXAMPLE = "a mapping such as {latency_steady: 20ms}"
# Keys that look right in a class, each with what would be.
_MISPLACED = {
    **dict.fromkeys(
        ("not promised", "not_promised", "not-promised"),
        "either limits, or 'not promised' alone in place of the mapping: it stands for every key, elsewhere too",
    ),
    "latency_steady": f"'latency', or the class {STEADY!r} with it: nothing is broken there",
    "own": "'broken: own'",
}
_NOT_ELSEWHERE = {
    **_MISPLACED,
    **{
        key.name: "it beside 'elsewhere': it is judged of the class as a whole"
        for key in LIMITS
        if key not in ELSEWHERE
    },
    "watch": "it beside 'elsewhere': all of a fault is watched for as long",
    "elsewhere": "one 'elsewhere' in a class",
    "own": "a count or a percentage in 'broken': untouched flows have nothing at the failed element",
}
_NOT_STEADY = {key.name: "only 'latency_steady': nothing is broken there" for key in LIMITS} | {
    "latency": "'latency_steady', which is judged while nothing is broken",
    "watch": "only 'latency_steady': there is no fault to watch",
    "elsewhere": "only 'latency_steady': nothing is touched there",
}


def parse_broken(text: str) -> BrokenBudget | None:
    """None if the text is none of a count, a percentage and `own`."""
    if text == "own":
        return BrokenBudget("own")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return BrokenBudget("count", float(text))
    percentage = parse_percentage(text)
    return None if percentage is None else BrokenBudget("percentage", float(percentage))


def check_budget_name(value: Value, name: str, roles: tuple[str, ...]) -> None:
    """`fault` or `fault/role`, the fault known and the role had by some node; or `steady`."""
    fault, slash, role = name.partition("/")
    if fault == STEADY:
        if slash:
            value.complain_of_key(f"{name!r}", f"{STEADY!r} alone: it is judged of every service, not of a role")
    elif fault not in CLASSES:
        known = (*FAULTS, STEADY)
        value.complain_of_key(f"the fault class {fault!r}", f"{one_of(known)}{closest(fault, known)}")
    if fault in CLASSES and slash and not CLASSES[fault].one_role:
        value.complain_of_key(f"{name!r}", f"{fault!r} alone: it fails many roles at once")
    elif fault != STEADY and slash and role not in roles:
        value.complain_of_key(f"the role {role!r}, which no node has", f"{one_of(roles)}{closest(role, roles)}")


def read_budget(value: Value, name: str, spoken: Collection[str] | None) -> Budget:
    """The entry `name` of `budgets`. `spoken`: the protocols of the contract's services; None: they could not be read."""
    if name.partition("/")[0] == STEADY:
        return _limits(value, "the class steady", STEADY_KEYS, _NOT_STEADY, spoken, _STEADY_EXAMPLE)
    if value.shape == "a mapping":
        return _limits(value, "a budget", LIMITS, _MISPLACED, spoken, _EXAMPLE, more=("elsewhere", "watch"))
    text = value.text(f"{_EXAMPLE}, or {NOT_PROMISED}")
    if text == NOT_PROMISED:
        return Budget(not_promised=True)
    if text is not None:
        value.complain(f"{_EXAMPLE}, or {NOT_PROMISED}{closest(text, (NOT_PROMISED,))}")
    return Budget()


def _limits(
    value: Value,
    what: str,
    keys: tuple[Key, ...],
    misplaced: dict[str, str],
    spoken: Collection[str] | None,
    example: str,
    more: tuple[str, ...] = (),
) -> Budget:
    """The limits of a mapping. `more`: further keys that it may have."""
    names = (*(key.name for key in keys), *more)
    if value.shape != "a mapping":
        value.complain(example)
        return Budget()
    given = value.fields(what, names, misplaced=misplaced)
    if not value.node.value:
        value.complain(f"a mapping with some of {', '.join(names)}", "an empty budget")
    for name, entry in value.entries(example).items():
        if name in names and entry.absent:
            entry.complain_of_key(
                f"the key {name!r} without a value", "one, or a file without the key: no limit is guessed"
            )
    figures: dict[str, Any] = {}
    for key in keys:
        if key.name in given:
            _refuse_unmeasured(given[key.name], key, spoken)
            figures[key.field] = _figure(given[key.name], key, own="elsewhere" in more)
    if "watch" in given:
        figures["watch_ns"] = read_duration(given["watch"], WATCH)
    if "elsewhere" in given:
        inner = (ELSEWHERE, _NOT_ELSEWHERE, spoken, _EXAMPLE)
        figures["elsewhere"] = _limits(given["elsewhere"], "'elsewhere'", *inner)
    return Budget(**figures)


def _refuse_unmeasured(value: Value, key: Key, spoken: Collection[str] | None) -> None:
    """A limit that nothing in the contract can measure would be kept by whatever happens."""
    if not key.measured_by:
        value.complain_of_key(f"a limit for {key.name!r}", "a file without it: nothing measures it yet")
    elif spoken is not None and not key.is_measured(spoken):
        found = f"a limit for {key.name!r}, which no service of this contract can measure"
        value.complain_of_key(found, f"{key.needs}, or a file without this limit")


def _figure(value: Value, key: Key, *, own: bool) -> int | float | BrokenBudget | None:
    if isinstance(key.right, Durations):
        return read_duration(value, key.right)
    if key.right == "share":
        share = read_percentage(value, SHARE_RULE)
        return None if share is None else float(share)
    return _broken(value, own=own)


def _broken(value: Value, *, own: bool) -> BrokenBudget | None:
    text = value.text(BROKEN_RULE)
    if text is None:
        return None
    broken = parse_broken(text)
    if broken is None:
        value.complain(BROKEN_RULE)
    elif broken.unit == "own" and not own:
        value.complain("a count or a percentage: untouched flows have nothing at the failed element")
    return broken
