"""The tables of a contract's budgets in docs/your-own-stack.md: `python -m topologies.budget.page` puts them there.

Must not know more than the lists of keys and fault classes."""

from __future__ import annotations

from pathlib import Path

from topologies.budget.classes import CLASSES, STEADY
from topologies.budget.keys import LIMITS, WATCH, Key
from topologies.budget.keys import STEADY as STEADY_KEYS
from topologies.figures import Durations

PAGE = Path(__file__).resolve().parents[2] / "docs/your-own-stack.md"
BEGIN = "<!-- written by `python -m topologies.budget.page`; a test holds it against the code -->\n"
END = "<!-- end -->\n"
_ELSEWHERE = {"zero": "nothing", "given": "no limit", "never": "has no place there"}


def tables() -> str:
    """Both tables, Markdown: the keys of a budget, and the fault classes."""
    keys = [
        "| key | limits | is | needs | `elsewhere`, unless given |\n|---|---|---|---|---|",
        *(_row(key) for key in LIMITS),
        *(_row(key, f", in the class `{STEADY}` only") for key in STEADY_KEYS),
        f"| `watch` | nothing: for how long a fault is watched at least | a duration {WATCH.bounds} | | has no place there |",
        "| `elsewhere` | what the fault did not touch | limits of its own | | |",
    ]
    classes = ["| fault class | may name a role | where it has no budget |\n|---|---|---|"]
    for known in CLASSES.values():
        kin = ", else ".join(f"`{name}`" for name in known.kin)
        classes.append(
            f"| `{known.name}` | {'yes' if known.one_role else 'no'} | {f'that of {kin}' if kin else 'not judged'} |"
        )
    return "\n".join(keys) + "\n\n" + "\n".join(classes) + "\n"


def with_tables(text: str) -> str:
    """The page with its tables as the code has them. Raises ValueError where the page has no place for them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the tables, from {BEGIN.strip()} to {END.strip()}")
    return f"{before}{begin}\n{tables()}\n{end}{after}"


def _row(key: Key, where: str = "") -> str:
    values = {"broken": "a count, a percentage, or `own`", "share": "a percentage"}
    bounds = f" {key.right.bounds.partition(',')[0]}" if isinstance(key.right, Durations) and key.right.bounds else ""
    value = f"a duration{bounds}" if isinstance(key.right, Durations) else values[key.right]
    needs = key.needs or "nothing measures it yet: refused"
    return f"| `{key.name}`{where} | {key.said} | {value} | {needs} | {_ELSEWHERE[key.elsewhere]} |"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
