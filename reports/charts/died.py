"""Where the lost probes died, as rows with bars: element, reason, who says so, how many. Pure; it must not know pages or probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reports.evidence.schema import Died, DropSource, WhereDied

ROWS = 12
BAR = 260.0

SAID_BY: dict[DropSource, str] = {
    "cut": "the lab's own cut",
    "kernel": "the node's kernel",
    "handed": "the node itself",
    "counter": "the node's counters",
    "silence": "nothing came of them",
    "answer": "the answer that came",
    "none": "nobody",
}


@dataclass(frozen=True)
class Row:
    """`share` of the bar's full width; `where` and `why` are words, `reason` the word of whoever said it."""

    where: str
    why: str
    reason: str
    said_by: str
    lost: int
    width: float
    known: bool


@dataclass(frozen=True)
class DiedTable:
    """`left_out`: causes beyond the rows, and their probes."""

    rows: tuple[Row, ...]
    lost: int
    unattributed: int
    note: str
    left_out: int
    left_out_lost: int


def draw_died(found: WhereDied | None) -> DiedTable | None:
    """None where nothing was lost, or nobody looked."""
    if found is None or not found.lost:
        return None
    most = max(c.lost for c in found.causes)
    shown, rest = found.causes[:ROWS], found.causes[ROWS:]
    return DiedTable(
        rows=tuple(
            Row(
                where=where(c),
                why=why(c),
                reason=c.reason if c.words else "",
                said_by=SAID_BY[c.source],
                lost=c.lost,
                width=round(max(1.0, c.lost / most * BAR), 1),
                known=c.source != "none",
            )
            for c in shown
        ),
        lost=found.lost,
        unattributed=found.unattributed,
        note=found.note,
        left_out=len(rest),
        left_out_lost=sum(c.lost for c in rest),
    )


def where(c: Died) -> str:
    """`ap-edge-1 eth2 → ap-l4-1`: the last element that saw the probe."""
    at = " ".join(part for part in (c.node or "between vantage and first link", c.interface) if part)
    return f"{at} → {c.toward}" if c.toward else at


def why(c: Died) -> str:
    """In words, where there are some; on the way back is said."""
    reason = c.words or (c.reason if c.source == "kernel" else c.reason.replace("_", " "))
    if c.source == "cut" and c.reason == "node dead":
        reason = f"{c.toward if c.toward else c.node} dead, its links cut"
    return f"{reason}, on the way back" if c.answer and c.source != "answer" else reason


def causes_of(some: Iterable[Died], most: int = 2) -> str:
    """`ap-edge-1 eth2 → ap-l4-1: node dead (12); …`, each cause once; empty without any."""
    counted: Counter[str] = Counter()
    for c in some:
        counted[f"{where(c)}: {why(c)}"] += c.lost
    told = [f"{text} ({lost})" for text, lost in counted.most_common()]
    more = f"; {len(told) - most} more" if len(told) > most else ""
    return f"{'; '.join(told[:most])}{more}" if told else ""


def sentence(some: Iterable[Died], most: int = 2) -> str:
    """The same as a sentence: `died at …`."""
    told = causes_of(some, most)
    return f"died at {told}" if told else ""
