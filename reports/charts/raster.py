"""Every flow as one row of a raster, packed small: the page's script unpacks and draws it when it comes into view.

Pure packing of flow rows and the packets around their losses; it must not know colours, HTML or verdicts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.charts.died import sentence
from reports.charts.flows import FlowRow, Kind, is_request
from reports.charts.scale import View
from reports.charts.stretches import bridged
from reports.evidence.schema import Died, Episode, Packet
from reports.words import count


@dataclass(frozen=True)
class Raster:
    """`data` is what the script gets. `quiet` are sentences for vantages that need no rows. `bridged_ns`: gaps between
    losses up to this length are drawn as loss."""

    data: dict[str, Any]
    rows: int
    quiet: tuple[str, ...]
    bridged_ns: int
    packets_left_out: int


def pack_raster(
    rows: Sequence[FlowRow],
    episodes: Sequence[Episode],
    shown: Sequence[View],
    event_ns: int,
    most_ink: int,
    most_packets: int,
) -> Raster:
    """The rows of each vantage that lost anything, if any did; the others are told in a sentence. At most `most_ink`
    stretches are kept apart, and at most `most_packets` packets: flows beyond keep their stretches, which say the same
    without kernel stamps. Times are µs after the fault."""
    groups = [(kind, list(group)) for kind, group in itertools.groupby(rows, key=lambda row: row.kind)]
    loud = {kind.vantage for kind, group in groups if any(row.found for row in group)}
    kept = [row for _, group in groups for row in group if row.vantage in loud]
    quiet = tuple(
        _quiet(vantage, groups)
        for vantage in dict.fromkeys(kind.vantage for kind, _ in groups if kind.vantage not in loud)
    )
    gap = 0
    found = [list(row.found) for row in kept]
    while sum(map(len, found)) > most_ink and gap < 1 << 20:
        gap = max(1, gap * 2)
        found = [bridged(list(row.found), gap) for row in kept]
    packets = {(e.vantage, e.service, e.flow, e.start_ns): e.packets for e in episodes if e.packets}
    by_flow: dict[tuple[str, str, int], list[Packet]] = {}
    for (vantage, service, flow, _), some in sorted(packets.items(), key=lambda item: item[0][3]):
        by_flow.setdefault((vantage, service, flow), []).extend(some)
    names = sorted({p.backend for some in by_flow.values() for p in some if p.backend})
    ways = sorted({way for row in kept for way in (row.way_before, row.way_after) if way})
    numbers = {way: n for n, way in enumerate(ways)}
    dead: dict[tuple[str, str, int], list[Died]] = {}
    for e in episodes:
        dead.setdefault((e.vantage, e.service, e.flow), []).extend(e.died)
    sentences: dict[str, int] = {}
    packed_rows, left_out, spent = [], 0, 0
    for row, marks in zip(kept, found, strict=True):
        # only flows have episodes: series of requests are numbered for themselves
        own = (row.vantage, row.kind.service, row.flow.id) if row.kind.routed else ("", "", 0)
        near = by_flow.get(own, [])
        if spent + len(near) > most_packets:
            left_out, near = left_out + 1, []
        spent += len(near)
        packed_rows.append(
            [
                row.flow.id,
                row.tuple_text,
                int(row.touched),
                row.lost,
                row.outage_ns // 1000,
                (row.flow.first_due_ns - event_ns) // 1000,
                row.interval_ns // 1000,
                row.flow.count,
                row.before or "",
                row.after or "",
                [n for one in marks for n in (one.start, one.length, one.state)],
                _packets(near, {name: n for n, name in enumerate(names)}, event_ns),
                numbers.get(row.way_before, -1),
                numbers.get(row.way_after, -1),
                _died(dead.get(own, []), sentences),
            ]
        )
    return Raster(
        data={
            "groups": [_group(kind, len(group)) for kind, group in groups if kind.vantage in loud],
            "rows": packed_rows,
            "backends": names,
            "died": list(sentences),
            "ways": [" › ".join(way[1:]) for way in ways],
            "views": [
                [view.label, (view.start_ns - event_ns) // 1000, (view.end_ns - event_ns) // 1000] for view in shown
            ],
        },
        rows=len(kept),
        quiet=quiet,
        bridged_ns=gap * max((row.interval_ns for row in kept), default=0),
        packets_left_out=left_out,
    )


def _died(some: Sequence[Died], sentences: dict[str, int]) -> int:
    """The number of the sentence that says where a flow's probes died; -1 where nothing is known of it."""
    text = sentence(some)
    return sentences.setdefault(text, len(sentences)) if text else -1


def _group(kind: Kind, size: int) -> list[Any]:
    return [kind.vantage, kind.service, kind.label, size, int(kind.routed)]


def _quiet(vantage: str, groups: Sequence[tuple[Kind, list[FlowRow]]]) -> str:
    every = [row for kind, group in groups if kind.vantage == vantage for row in group]
    mine = [row for row in every if not is_request(row.kind.transport)]
    asked = sum(row.flow.count for row in every if is_request(row.kind.transport))
    probes = sum(row.flow.count for row in mine)
    crossed = [row for row in mine if row.touched]
    moved = sum(1 for row in crossed if row.kind.routed and row.before != row.after)
    told = f"{len(crossed):,} crossed the broken element" if crossed else "none crossed the broken element"
    if moved:
        told += f", {moved:,} were answered by another backend afterwards"
    if not asked:
        return f"{vantage}: {count(len(mine), 'flow')}, {probes:,} probes; {told}, and not one probe was lost."
    all_ = f"{count(len(mine), 'flow')}, {probes:,} probes, {count(asked, 'new request')}"
    return f"{vantage}: {all_}; {told}, and neither a probe nor a request was lost."


def _packets(packets: Sequence[Packet], backends: Mapping[str, int], event_ns: int) -> list[list[int | None]]:
    """Columns, for they pack better than rows: seq, due, sent after due, answered after sent, state, backend, the
    answer's time to live."""

    def after(a: int | None, b: int | None) -> int | None:
        return (a - b) // 1000 if a is not None and b is not None else None

    if not packets:
        return []
    return [
        [p.seq for p in packets],
        [(p.due_ns - event_ns) // 1000 for p in packets],
        [after(p.tx_ns, p.due_ns) for p in packets],
        [after(p.rx_ns, p.tx_ns if p.tx_ns is not None else p.due_ns) for p in packets],
        [p.state for p in packets],
        [backends[p.backend] if p.backend else -1 for p in packets],
        [p.ttl for p in packets],
    ]
