"""The probes around an episode: a few at its two edges to be shown, and every one near it to be kept.

Pure; knows traces and episodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.episodes import Episode
from probes.flows import FlowTrace
from probes.layout import NO_BACKEND
from reports.evidence.near import Run
from reports.evidence.schema import Packet

ROWS = 16

WITHIN_NS = 1_000_000_000
"""How near an episode a probe must be due for all that is known of it to be kept."""


def close_up(trace: FlowTrace, episode: Episode, backends: Sequence[str], rows: int = ROWS) -> tuple[Packet, ...]:
    """Up to `rows` probes in order of sequence: some before the episode, its first and last lost ones, some after.

    `backends` are the names that the trace's indices mean. Raises ValueError when the episode is none of this trace.
    """
    first = int(np.searchsorted(trace.due, episode.start_ns))
    if first == len(trace.due) or trace.due[first] != episode.start_ns:
        raise ValueError(f"flow {trace.flow.id} has no probe due at {episode.start_ns}")
    after = len(trace.due) if episode.end_ns is None else int(np.searchsorted(trace.due, episode.end_ns))
    lost = after - first
    shown = min(lost, rows // 2)
    around = (rows - shown) // 2
    head = -(-shown // 2)
    chosen = [
        *range(max(0, first - around), first + head),
        *range(after - (shown - head), min(len(trace.due), after + around)),
    ]
    return tuple(_packet(trace, i, backends) for i in chosen)


def near_runs(
    place: int, trace: FlowTrace, periods: Sequence[tuple[int, int | None]], within_ns: int = WITHIN_NS
) -> list[Run]:
    """All probes of a flow due within `within_ns` of a period, or in it: each run of consecutive ones, in order, none twice.

    `periods` are [start, end) in ns, an end of None the end of the trace; `place` is the flow's place in its block of evidence.
    """
    chosen = np.zeros(len(trace.due) + 1, np.int64)
    for start_ns, end_ns in periods:
        first = int(np.searchsorted(trace.due, start_ns - within_ns))
        after = len(trace.due) if end_ns is None else int(np.searchsorted(trace.due, end_ns + within_ns, side="right"))
        if after > first:
            chosen[first] += 1
            chosen[after] -= 1
    near = np.cumsum(chosen) > 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], near)).astype(np.int8)))
    ttl = np.zeros(len(trace.due), np.uint8) if trace.ttl is None else trace.ttl
    return [
        Run(place, first, trace.due[first:after], trace.tx[first:after], trace.rx[first:after], ttl[first:after])
        for first, after in edges.reshape(-1, 2).tolist()
    ]


def _packet(trace: FlowTrace, i: int, backends: Sequence[str]) -> Packet:
    backend = int(trace.backend[i])
    return Packet(
        seq=int(trace.seq[i]),
        due_ns=int(trace.due[i]),
        state=int(trace.state[i]),
        tx_ns=int(trace.tx[i]) or None,
        rx_ns=int(trace.rx[i]) or None,
        backend=None if backend == NO_BACKEND or backend >= len(backends) else backends[backend],
        ttl=None if trace.ttl is None else int(trace.ttl[i]) or None,
    )
