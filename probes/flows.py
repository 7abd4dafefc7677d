"""What became of every probe of a time window, as arrays. Knows records, not processes, faults or verdicts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.packets import ProbeFlow, Transport

ANSWERED, LOST, LATE, CORRUPT, NOT_SENT, REFUSED, RESET = range(7)
"""A probe's state, as the evidence has it. NOT_SENT: the harness never sent it, or ended before its answer had to be there, which
says nothing of the network.
REFUSED: told no, by a RST that acknowledges our SYN or by an ICMP error; RESET: by a RST that acknowledges nothing."""

FORWARDING_DELAY_THRESHOLD_NS = 2_000_000_000
"""RFC 6412: an answer that takes longer makes the probe a lost one."""

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FlowTrace:
    """One flow's probes in order of sequence. Times in CLOCK_MONOTONIC ns, 0 where there is none.

    `tx`, `rx` are the kernel's stamps (`rx` also of a refusal), `sent` is when the prober called send; `backend` indexes
    FlowWindow.backends. `icmp` is type * 256 + code of the ICMP error that refused a probe, 0 where none did; `ttl` is what the
    answer had left of its time to live (IPv6: hop limit), 0 without an answer. `duplicate`: it was answered more than once.
    """

    flow: ProbeFlow
    seq: Ints
    due: Ints
    tx: Ints
    rx: Ints
    sent: Ints
    backend: Bytes
    state: Bytes
    unstamped: NDArray[np.bool_]
    icmp: NDArray[np.uint16] | None = None
    ttl: Bytes | None = None
    duplicate: NDArray[np.bool_] | None = None

    @property
    def transport(self) -> Transport:
        return self.flow.transport

    def heard_until(self, t_ns: int) -> FlowTrace:
        """The same of a prober that listened until then and no longer: what had 2 s less to be answered is not known to be lost."""
        unheard = (self.state == LOST) & (self.due > t_ns - FORWARDING_DELAY_THRESHOLD_NS)
        return replace(self, state=np.where(unheard, NOT_SENT, self.state).astype(np.uint8))

    def left_ns(self, first: int = 0, after: int | None = None) -> Ints:
        """When each probe (of [first, after)) left, by the kernel's stamp where there is one; 0 for those never sent."""
        tx = self.tx[first:after]
        return np.where(tx > 0, tx, self.sent[first:after])

    def answer_ns(self, first: int = 0, after: int | None = None) -> Ints:
        """How long each probe (of [first, after)) waited for its answer (TCP: the time to accept) or refusal; 0 where none came."""
        rx = self.rx[first:after]
        return np.where(rx > 0, rx - self.left_ns(first, after), 0)

    def lateness(self) -> Ints:
        """How late each probe left, by the kernel's stamp where there is one; probes never sent are left out."""
        left = self.left_ns()
        return (left - self.due)[left > 0]

    def missing_stamps(self) -> int:
        """Answered probes without a kernel stamp of sending. (A lost one may have died before it was stamped.)"""
        answered = (self.state != LOST) & (self.state != NOT_SENT)
        return int(np.count_nonzero(answered & (self.tx == 0) & ~self.unstamped))


@dataclass(frozen=True, slots=True)
class FlowWindow:
    """All flows of one prober, probes due in [t0, t1). `clock_step_ns`: largest step of the wall clock against ours."""

    t0_ns: int
    t1_ns: int
    read_ns: int
    backends: tuple[str, ...]
    flows: tuple[FlowTrace, ...]
    clock_step_ns: int

    @property
    def settled(self) -> bool:
        """Whether even the last probe has had the whole Forwarding Delay Threshold to be answered."""
        return self.read_ns - self.t1_ns >= FORWARDING_DELAY_THRESHOLD_NS

    def only(self, *transports: Transport) -> FlowWindow:
        """The same window with the flows of these transports alone."""
        return replace(self, flows=tuple(t for t in self.flows if t.transport in transports))

    def lateness(self) -> Ints:
        """Lateness of every probe of every flow."""
        return np.concatenate([t.lateness() for t in self.flows]) if self.flows else np.zeros(0, np.int64)

    def stall_ns(self, since_ns: int) -> int | None:
        """By how long the prober itself came too late to send a probe due from `since_ns` on, at most; None if it sent none.

        By its own clock: a probe that then waits for a neighbour to be found waits in the network.
        """
        late = [(t.sent - t.due)[(t.sent > 0) & (t.due >= since_ns)] for t in self.flows]
        return max((int(each.max()) for each in late if each.size), default=None)

    def missing_stamps(self) -> int:
        return sum(t.missing_stamps() for t in self.flows)

    def count(self, *states: int) -> int:
        """How many probes are in one of these states."""
        return sum(int(np.count_nonzero(t.state == state)) for t in self.flows for state in set(states))
