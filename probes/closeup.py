"""The probes around an episode's two edges, one by one, for whoever wants to see it. Pure; knows a trace and an episode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.episodes import Episode
from probes.flows import FlowTrace
from probes.layout import NO_BACKEND
from reports.evidence.schema import Packet

ROWS = 16


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
