"""When each flow was last impaired, asked many times a second while probes go on. Knows records, not the prober."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes import layout
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS, Ints
from probes.packets import ProbeFlow


class ImpairmentScan:
    """Reads each record once it is final, and those of the last 2 s, which a late answer may still change, every time.

    `rings` are the records of every flow, [flow, slot]; `status` their rows of layout.FLOW_STATUS, both still growing.
    """

    def __init__(self, flows: Sequence[ProbeFlow], start_ns: int, status: Any, rings: Any) -> None:
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
        last = np.maximum(self._last, self._impaired(self._final, after))
        settled = np.clip(self._sequence(until_ns - FORWARDING_DELAY_THRESHOLD_NS), self._final, after)
        self._last = np.where(last < settled, last, np.maximum(self._last, self._impaired(self._final, settled)))
        self._final = settled
        due = np.where(last >= first, self._first_due + last * self._interval, -1)
        return due, after - first

    def _sequence(self, t_ns: int) -> Ints:
        number: Ints = np.maximum(0, -((self._first_due - t_ns) // self._interval))
        return number

    def _impaired(self, first: Ints, after: Ints) -> Ints:
        """Per flow, the last impaired sequence number in [first, after); -1 if none."""
        width = int((after - first).max(initial=0))
        if width == 0:
            return np.full(len(first), -1, np.int64)
        seq = first[:, None] + np.arange(width)
        asked: NDArray[np.bool_] = seq < after[:, None]
        rows, slots = np.arange(len(first))[:, None], seq % self._capacity
        flags = self._rings["flags"][rows, slots]
        wanted = layout.WRITTEN | layout.ANSWERED
        good = (flags & (wanted | layout.CORRUPT | layout.NOT_SENT)) == wanted
        good &= self._rings["seq"][rows, slots].astype(np.int64) == seq
        waited = self._rings["rx_ns"][rows, slots] - self._rings["sent_ns"][rows, slots]
        good &= waited <= FORWARDING_DELAY_THRESHOLD_NS
        found: Ints = np.where(asked & ~good, seq, -1).max(axis=1)
        return found
