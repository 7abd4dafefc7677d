"""What became of every new request of a time window, as arrays. Knows records, not processes, faults or verdicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from probes.flows import Bytes, Ints
from probes.requests.plan import RequestSeries

IN_TIME_NS = 2_000_000_000
"""A request whose answer is not whole so long after it was due has failed."""

KEPT_OPEN_NS = 200_000_000
"""It is kept open for so long beyond that, so that one which was only just too late can be told."""


class Outcome(IntEnum):
    """How a request ended; the numbers are those of probes/native/requester/records.h.

    UNDER_WAY: not ended yet, or its sender ended before. NOT_SENT: the harness's own fault. Both say nothing of the network.
    LATE: whole and right, but 2 s to 2.2 s after it was due. SILENT: nothing of an answer by then. INCOMPLETE: closed early,
    or not whole by then. REFUSED, UNREACHABLE: told so by RST or ICMP. MALFORMED: what came is no answer in HTTP, or, where
    none is spoken, its first MOST_HEARD_BYTES do not hold what is expected.
    """

    UNDER_WAY = 0
    OK = 1
    REFUSED = 2
    RESET = 3
    SILENT = 4
    INCOMPLETE = 5
    WRONG_STATUS = 6
    NO_IDENTITY = 7
    TLS_ERROR = 8
    NOT_SENT = 9
    UNREACHABLE = 10
    LATE = 11
    MALFORMED = 12


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """One series' requests in order of sequence. Times in CLOCK_MONOTONIC ns, 0 where there is none.

    `sent`: connect was called. `connected`, `handshaken` (TLS only): seen by us. `first_byte`, `done`: the kernel's stamps of the
    answer's first and last byte, TLS's own not counted; of a failed request, `done` is when that was known. `status` is HTTP's,
    0 without an answer in it; `backend` indexes RequestWindow.backends; `outcome` is an Outcome each.
    """

    series: RequestSeries
    seq: Ints
    due: Ints
    sent: Ints
    connected: Ints
    handshaken: Ints
    first_byte: Ints
    done: Ints
    sport: NDArray[np.uint16]
    status: NDArray[np.uint16]
    backend: Bytes
    outcome: Bytes

    def known(self) -> NDArray[np.bool_]:
        """Which requests were sent and have ended: those that say something of the network."""
        return ~np.isin(self.outcome, (Outcome.UNDER_WAY, Outcome.NOT_SENT))

    def good(self, limit_ns: int = IN_TIME_NS) -> NDArray[np.bool_]:
        """Which were answered rightly, and whole `limit_ns` after they were due. (At most KEPT_OPEN_NS beyond IN_TIME_NS is known.)"""
        return np.isin(self.outcome, (Outcome.OK, Outcome.LATE)) & (self.done - self.due <= limit_ns)

    def unnamed(self) -> RequestTrace:
        """The same where an answer need not say whose it is: one without a name is as good as one with it."""
        told = np.where(self.done - self.due <= IN_TIME_NS, Outcome.OK, Outcome.LATE)
        outcome = np.where(self.outcome == Outcome.NO_IDENTITY, told, self.outcome)
        return replace(self, outcome=outcome.astype(np.uint8))

    def latency_ns(self) -> Ints:
        """From when each request was due until its answer was whole, however it was judged; 0 where no whole one came."""
        whole = np.isin(self.outcome, (Outcome.OK, Outcome.LATE, Outcome.WRONG_STATUS, Outcome.NO_IDENTITY))
        return np.where(whole, self.done - self.due, 0)

    def lateness(self) -> Ints:
        """How late each request was sent; those never sent are left out."""
        return (self.sent - self.due)[self.sent > 0]

    def count(self, *outcomes: Outcome) -> int:
        """How many requests ended in one of these ways."""
        return int(np.count_nonzero(np.isin(self.outcome, outcomes)))


@dataclass(frozen=True, slots=True)
class RequestWindow:
    """All series of one requester, requests due in [t0, t1). `stall_ns`: by how long it came too late to do anything, at most.

    `clock_step_ns`: largest step of the wall clock against ours; stamps around it are off by as much.
    """

    t0_ns: int
    t1_ns: int
    read_ns: int
    backends: tuple[str, ...]
    traces: tuple[RequestTrace, ...]
    stall_ns: int
    clock_step_ns: int

    @property
    def settled(self) -> bool:
        """Whether even the last request has ended, however late."""
        return self.read_ns - self.t1_ns >= IN_TIME_NS + KEPT_OPEN_NS

    def lateness(self) -> Ints:
        """Lateness of every request of every series."""
        return np.concatenate([t.lateness() for t in self.traces]) if self.traces else np.zeros(0, np.int64)

    def count(self, *outcomes: Outcome) -> int:
        """How many requests ended in one of these ways."""
        return sum(t.count(*outcomes) for t in self.traces)
