"""When each series of probes or requests was last impaired, asked often while they go on. Knows records, not who sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from probes import layout
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS, Ints

_FAR = np.iinfo(np.int64).max


class Scheduled(Protocol):
    """Something done once per `interval_ns`, at first `phase_ns` after the start."""

    @property
    def interval_ns(self) -> int: ...

    @property
    def phase_ns(self) -> int: ...


def answered_well(records: Any) -> NDArray[np.bool_]:
    """Which records (layout.RECORD) are of probes that were answered as they should be."""
    wanted = layout.WRITTEN | layout.ANSWERED
    good = (records["flags"] & (wanted | layout.CORRUPT | layout.NOT_SENT)) == wanted
    found: NDArray[np.bool_] = good & (records["rx_ns"] - records["sent_ns"] <= FORWARDING_DELAY_THRESHOLD_NS)
    return found


class ImpairmentScan:
    """Reads each record until it is final: a good one once, one without an answer for the 2 s in which it may come.

    `rings` are the records of every flow, [flow, slot], with their sequence number as `seq`; `status` has for each what comes
    next as `next_seq`, both still growing. `good` says of records whether they are of what was answered well.
    """

    def __init__(
        self,
        flows: Sequence[Scheduled],
        start_ns: int,
        status: Any,
        rings: Any,
        good: Callable[[Any], NDArray[np.bool_]] = answered_well,
    ) -> None:
        self._good = good
        self._first_due = np.array([start_ns + f.phase_ns for f in flows], np.int64)
        self._interval = np.array([f.interval_ns for f in flows], np.int64)
        self._status = status
        self._rings = rings
        self._capacity = rings.shape[1]
        self._from = np.zeros(len(flows), np.int64)
        self._final = np.zeros(len(flows), np.int64)
        self._last = np.full(len(flows), -1, np.int64)

    def seen(self, since_ns: int, until_ns: int) -> tuple[Ints, Ints]:
        """Of the probes due in [since, until), per flow: when the last impaired one was due (-1: none), and how many
        there are.

        Raises LookupError(flow index, probes ago) when the records no longer reach so far back.
        """
        first, after = self._sequence(since_ns), self._sequence(until_ns)
        after = np.maximum(first, after)
        again = (first < self._from) | (first > self._final)
        self._from = np.where(again, first, self._from)
        self._final = np.where(again, first, self._final)
        self._last = np.where(again, -1, self._last)
        ago = self._status["next_seq"].astype(np.int64) - self._final
        if np.any((ago >= self._capacity) & (after > self._final)):
            index = int(np.argmax(ago))
            raise LookupError(index, int(ago[index]))
        settled = np.clip(self._sequence(until_ns - FORWARDING_DELAY_THRESHOLD_NS), self._final, after)
        seq, bad = self._read(self._final, after)
        last = np.maximum(self._last, np.where(bad, seq, -1).max(axis=1, initial=-1))
        self._last = np.maximum(self._last, np.where(bad & (seq < settled[:, None]), seq, -1).max(axis=1, initial=-1))
        open_from = np.where(bad & (seq >= settled[:, None]), seq, _FAR).min(axis=1, initial=_FAR)
        self._final = np.minimum(open_from, after)
        due = np.where(last >= first, self._first_due + last * self._interval, -1)
        return due, after - first

    def _sequence(self, t_ns: int) -> Ints:
        number: Ints = np.maximum(0, -((self._first_due - t_ns) // self._interval))
        return number

    def _read(self, first: Ints, after: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Per flow, the sequence numbers from `first` on, and which of those below `after` are of impaired probes."""
        seq: Ints = first[:, None] + np.arange(int((after - first).max(initial=0)))
        records = self._rings[np.arange(len(first))[:, None], seq % self._capacity]
        good = self._good(records) & (records["seq"].astype(np.int64) == seq)
        return seq, (seq < after[:, None]) & ~good
