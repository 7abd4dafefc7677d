"""Loss strips: one thin row per flow, where what was lost is ink and what was answered is paper.

Pure geometry from probe states; it must not know the other lanes, the page or any verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reports.charts.stretches import IMPAIRED, Stretch, bridged, impaired, stretches
from reports.evidence.schema import (
    CORRUPT,
    LATE,
    LOST,
    NOT_A_BACKEND,
    NOT_SENT,
    Flow,
    Flows,
    unpack_per_flow,
    unpack_u8,
)

MAX_INK = 9000
"""Stretches per picture before neighbours are joined: keeps four scenarios under a megabyte whatever was lost."""

QUIET = 0.4
"""Height of a row in a group without trouble, as a share of the others'."""

KINDS = {LOST: "lost", LATE: "late", CORRUPT: "corrupt", NOT_SENT: "unsent"}


@dataclass(frozen=True)
class FlowRow:
    """One flow as it is drawn and listed. `lost` counts lost, late and corrupt probes of the whole window; `outage_ns`
    is those due between fault and heal, ÷ rate (RFC 6412, loss-derived): the others are no part of the black hole.
    `longest_end_ns` is when the longest run of them ended. The backends are the last named before the fault and of all.
    """

    vantage: str
    service: str
    flow: Flow
    interval_ns: int
    found: tuple[Stretch, ...]
    lost: int
    unsent: int
    outage_ns: int
    episodes: int
    first_ns: int | None
    last_end_ns: int | None
    longest_end_ns: int | None
    before: str | None
    after: str | None

    @property
    def touched(self) -> bool:
        return self.flow.touched

    @property
    def tuple_text(self) -> str:
        return f"{_socket(self.flow.src, self.flow.sport)} → {_socket(self.flow.dst, self.flow.dport)}"


@dataclass(frozen=True)
class Group:
    """All flows of one vantage to one service, worst first. `touched` are the heights at which rows are marked."""

    label: str
    y: float
    height: float
    size: int
    hit: int
    touched_path: str


@dataclass(frozen=True)
class Strips:
    groups: tuple[Group, ...]
    ink: tuple[tuple[str, str], ...]
    row: float
    bottom: float
    bridged_ns: int
    ys: tuple[float, ...]


def flow_rows(blocks: Iterable[Flows], heal_ns: int | None = None) -> list[FlowRow]:
    """Every flow, grouped by vantage and service as they come, the longest outage of each group first.

    Raises ValueError when a block does not hold what it announces.
    """
    rows: list[FlowRow] = []
    for block in blocks:
        backends = unpack_u8(block.backend)
        group: list[FlowRow] = []
        at = 0
        for flow, state in zip(block.flows, unpack_per_flow(block), strict=True):
            group.append(_row(block, flow, state, backends[at : at + flow.count], heal_ns))
            at += flow.count
        rows += sorted(group, key=lambda r: (-r.outage_ns, -r.lost, not r.touched, r.flow.id))
    return sorted(rows, key=_by_vantage([(r.vantage, r.service) for r in rows]))


def draw_strips(rows: Sequence[FlowRow], start_ns: int, end_ns: int, x: Callable[[float], float], top: float) -> Strips:
    """Place the rows between two instants; `x` maps an instant to a coordinate and clips it."""
    full = _pitch(len(rows))
    groups: list[Group] = []
    ys: list[float] = []
    y = top
    at = 0
    while at < len(rows):
        key = (rows[at].vantage, rows[at].service)
        size = next((n for n in range(at, len(rows)) if (rows[n].vantage, rows[n].service) != key), len(rows)) - at
        members = rows[at : at + size]
        # Where nothing happened every flow still has its row, but a thin one: the eye belongs where the ink is.
        pitch = full if any(row.found for row in members) else round(full * QUIET, 3)
        middles = [round(y + pitch * (n + 0.5), 2) for n in range(size)]
        height = max(pitch * size, 14.0)
        groups.append(
            Group(
                label=f"{key[0]} → {key[1]}",
                y=round(y, 2),
                height=round(height, 2),
                size=size,
                hit=sum(1 for row in members if row.lost),
                touched_path=_spans(middles, [row.touched for row in members], pitch),
            )
        )
        ys += middles
        y += height + 5
        at += size
    ink, gap_ns = _ink(rows, ys, start_ns, end_ns, x)
    return Strips(tuple(groups), ink, full, round(y, 2), gap_ns, tuple(ys))


def _row(block: Flows, flow: Flow, state: bytes, backends: bytes, heal_ns: int | None) -> FlowRow:
    found = tuple(stretches(state))
    bad = [one for one in found if one.state in IMPAIRED]
    lost = impaired(state)

    def due_from(t_ns: int) -> int:
        return max(0, min(flow.count, -(-(t_ns - flow.first_due_ns) // block.interval_ns)))

    fault_at = due_from(block.event_ns)
    heal_at = flow.count if heal_ns is None else due_from(heal_ns)
    longest = max((one for one in bad if one.end > fault_at), key=lambda one: one.length, default=None)
    return FlowRow(
        vantage=block.vantage,
        service=block.service,
        flow=flow,
        interval_ns=block.interval_ns,
        found=found,
        lost=lost,
        unsent=state.count(bytes((NOT_SENT,))),
        outage_ns=impaired(state[fault_at:heal_at]) * block.interval_ns,
        episodes=_episodes(found),
        first_ns=flow.first_due_ns + bad[0].start * block.interval_ns if bad else None,
        last_end_ns=flow.first_due_ns + bad[-1].end * block.interval_ns if bad else None,
        longest_end_ns=flow.first_due_ns + longest.end * block.interval_ns if longest else None,
        before=_last_named(backends[:fault_at], block.backends),
        after=_last_named(backends[fault_at:], block.backends),
    )


def _episodes(found: Sequence[Stretch]) -> int:
    """Impaired probes in a row are one episode, whatever impairments they mix; a probe not sent ends none."""
    episodes, end, within = 0, -1, False
    for one in found:
        within = within and one.start == end
        if one.state in IMPAIRED and not within:
            episodes, within = episodes + 1, True
        end = one.end
    return episodes


def _last_named(backends: bytes, names: Sequence[str]) -> str | None:
    kept = backends.rstrip(bytes((NOT_A_BACKEND,)))
    return names[kept[-1]] if kept and kept[-1] < len(names) else None


def _by_vantage(order: list[tuple[str, str]]) -> Callable[[FlowRow], int]:
    """Keeps blocks of one vantage and service together should the evidence hold them apart."""
    rank: dict[tuple[str, str], int] = {}
    for key in order:
        rank.setdefault(key, len(rank))
    return lambda row: rank[(row.vantage, row.service)]


def _pitch(rows: int) -> float:
    """150 flows get 3 units each; a few get more, thousands share about 900."""
    return round(min(9.0, max(0.3, 460 / max(1, rows) if rows <= 300 else 900 / rows)), 3)


def _spans(middles: Sequence[float], marked: Sequence[bool], pitch: float) -> str:
    """Neighbouring marked rows as one vertical line, in path syntax relative to x = 0."""
    parts: list[str] = []
    n = 0
    while n < len(middles):
        if not marked[n]:
            n += 1
            continue
        end = next((m for m in range(n, len(marked)) if not marked[m]), len(marked))
        parts.append(f"M0 {_short(middles[n] - pitch / 2)}v{_short((end - n) * pitch)}")
        n = end
    return "".join(parts)


def _ink(
    rows: Sequence[FlowRow], ys: Sequence[float], start_ns: int, end_ns: int, x: Callable[[float], float]
) -> tuple[tuple[tuple[str, str], ...], int]:
    """One path per state, in whole tenths so that relative moves add up.

    When there are too many stretches, gaps are bridged until they fit; the second value is how far, in ns.
    """
    shown = [_shown(row, start_ns, end_ns) for row in rows]
    gap = 0
    drawn = shown
    while sum(map(len, drawn)) > MAX_INK and gap < 1 << 20:
        gap = max(1, gap * 2)
        drawn = [bridged(one, gap) for one in shown]
    paths: dict[int, list[str]] = {}
    for row, y, found in zip(rows, ys, drawn, strict=True):
        pens: dict[int, int] = {}
        for one in found:
            left = round(10 * x(row.flow.first_due_ns + one.start * row.interval_ns))
            right = round(10 * x(row.flow.first_due_ns + one.end * row.interval_ns))
            # A single lost probe in a long window must still be seen: a black hole is ink, never a gap.
            width = max(10, right - left)
            pen = pens.get(one.state)
            move = f"M{_tenths(left)} {_short(y)}" if pen is None else f"m{_tenths(left - pen)} 0"
            paths.setdefault(one.state, []).append(f"{move}h{_tenths(width)}")
            pens[one.state] = left + width
    ink = tuple((KINDS.get(state, "lost"), "".join(parts)) for state, parts in sorted(paths.items()))
    interval = max((row.interval_ns for row in rows), default=0)
    return ink, gap * interval


def _shown(row: FlowRow, start_ns: int, end_ns: int) -> list[Stretch]:
    first, step = row.flow.first_due_ns, row.interval_ns
    return [s for s in row.found if first + s.end * step > start_ns and first + s.start * step < end_ns]


def _tenths(value: int) -> str:
    return _short(value / 10)


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
