"""Stamps of the probes near an episode, packed into a block of flows and out of it again.

It knows columns of numbers and the block they belong to; which probes are near is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.evidence.flows import Flows, Near, unpack_per_flow
from reports.evidence.packing import pack_i64, pack_u8, unpack_i64, unpack_u8

UNIT_NS = 1_000
"""The kernel's stamps are taken in software: below a microsecond they say nothing."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive probes of one flow: the flow's place in its block, the first one's place in the flow, and for each in ns
    (CLOCK_MONOTONIC) when it was due, sent and answered (0: never), and the time to live of its answer (0: none)."""

    flow: int
    first: int
    due: Ints
    tx: Ints
    rx: Ints
    ttl: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class NearRun:
    """The same read back, with what the block says of these probes: `state` and `backend` as in Flows."""

    run: Run
    state: bytes
    backend: bytes


def pack_near(runs: Sequence[Run], within_ns: int, unit_ns: int = UNIT_NS) -> Near | None:
    """The runs as columns; None without any. Times lose what is below half a unit."""
    if not runs:
        return None
    due, tx, rx = (np.concatenate([getattr(run, name) for run in runs]) for name in ("due", "tx", "rx"))
    sent = np.where(tx > 0, _units(tx - due, unit_ns), 0)
    return Near(
        within_ns=within_ns,
        unit_ns=unit_ns,
        runs=pack_i64([n for run in runs for n in (run.flow, run.first, len(run.due))]),
        tx=pack_i64(np.where(tx > 0, _marked(sent), 0)),
        rx=pack_i64(np.where(rx > 0, _marked(_units(rx - due, unit_ns) - sent), 0)),
        ttl=pack_u8(np.concatenate([run.ttl for run in runs]).astype(np.uint8).tobytes()),
    )


def unpack_near(block: Flows) -> Iterator[NearRun]:
    """The runs of a block in order; none where the block has no stamps.

    Raises ValueError when the columns do not fit each other or the block's flows.
    """
    near = block.near
    if near is None:
        return
    tx, rx, ttl = unpack_i64(near.tx), unpack_i64(near.rx), np.frombuffer(unpack_u8(near.ttl), np.uint8)
    runs = unpack_i64(near.runs)
    states, backends = unpack_per_flow(block), _per_flow(block, unpack_u8(block.backend))
    lengths = runs[2::3]
    if len(runs) % 3 or not len(tx) == len(rx) == len(ttl) == int(lengths.sum()) or int(lengths.min(initial=1)) < 1:
        raise ValueError(f"stamps of {block.vantage} to {block.service} do not fit each other")
    at = 0
    for flow, first, length in runs.reshape(-1, 3).tolist():
        if not 0 <= flow < len(block.flows) or not 0 <= first <= first + length <= block.flows[flow].count:
            raise ValueError(f"stamps of {block.vantage} to {block.service} are of probes that the block does not have")
        due = block.flows[flow].first_due_ns + block.interval_ns * np.arange(first, first + length, dtype=np.int64)
        mine = slice(at, at + length)
        sent = _unmarked(tx[mine])
        run = Run(
            flow=flow,
            first=first,
            due=due,
            tx=np.where(tx[mine] != 0, due + sent * near.unit_ns, 0),
            rx=np.where(rx[mine] != 0, due + (sent + _unmarked(rx[mine])) * near.unit_ns, 0),
            ttl=ttl[mine],
        )
        yield NearRun(run, states[flow][first : first + length], backends[flow][first : first + length])
        at += length


def _units(values: Ints, unit_ns: int) -> Ints:
    return (2 * values + unit_ns) // (2 * unit_ns)


def _marked(values: Ints) -> Ints:
    """0 is kept for what never happened."""
    return np.where(values >= 0, values + 1, values)


def _unmarked(values: Ints) -> Ints:
    return np.where(values > 0, values - 1, values)


def _per_flow(block: Flows, packed: bytes) -> list[bytes]:
    ends = np.cumsum([flow.count for flow in block.flows])
    if len(packed) != (int(ends[-1]) if len(ends) else 0):
        raise ValueError(f"flows of {block.vantage} to {block.service}: {len(packed)} backends for {ends[-1:]} probes")
    return [packed[end - flow.count : end] for end, flow in zip(ends.tolist(), block.flows, strict=True)]
