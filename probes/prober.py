"""Runs the compiled prober in a client's network namespace and reads its records while it sends. Judges nothing."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probes import layout
from probes.child import Child, ProbeError, Started
from probes.flows import (
    ANSWERED,
    CORRUPT,
    FORWARDING_DELAY_THRESHOLD_NS,
    LATE,
    LOST,
    NOT_SENT,
    REFUSED,
    RESET,
    Bytes,
    FlowTrace,
    FlowWindow,
    Ints,
)
from probes.impaired import ImpairmentScan
from probes.offsets import clock_step_ns
from probes.packets import ProbeFlow, template
from probes.rings import due_between, slots
from probes.trust import HEARTBEAT_LIMIT_NS

DEFAULT_GRACE_NS = 300_000_000
"""How long a probe may stay unanswered before it counts as impaired while things are still running."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the start; each is explained in probes/native/record.h."""

    sent: int
    received: int
    duplicates: int
    corrupt: int
    foreign: int
    socket_drops: int
    not_sent: int
    refused: int
    harness_errors: int
    unstamped: int
    send_errors: tuple[tuple[str, int], ...]
    denied: int = 0
    unnamed: int = 0


class Prober(Started):
    """Sends `flows` from the network namespace `netns` until stopped. A context manager.

    `directory` gets the plan, the records and the log; put it on tmpfs, since a disk that flushes can hold up a send.
    The records hold the last `capacity` probes of each flow, and outlive the process however it ends.
    """

    def __init__(
        self, binary: Path, netns: Path, flows: Sequence[ProbeFlow], directory: Path, capacity: int = 32768
    ) -> None:
        if not flows:
            raise ValueError("a prober needs at least one flow")
        self.flows = tuple(flows)
        self.capacity = capacity
        self._binary = binary
        self._netns = netns
        self._directory = directory
        self._child: Child | None = None
        self._header: Any = None
        self._status: Any = None
        self._rings: Any = None
        self._scans: dict[int, ImpairmentScan] = {}
        self._stopped = False

    def start(self, deadline_s: float = 5.0) -> None:
        """Returns when every flow has sent its first probe. Raises ProbeError saying what was missing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        plan, records = self._directory / "plan", self._directory / "records"
        records.unlink(missing_ok=True)
        plan.write_bytes(
            layout.pack_plan(
                [(f.id, template(f), f.ports, f.interval_ns, f.phase_ns) for f in self.flows], self.capacity
            )
        )
        self._child = Child([self._binary, plan, records], self._netns, self._directory / "log")
        try:
            self._child.wait_ready(deadline_s, lambda: self._not_sending(records))
            self._map(records)
        except ProbeError as error:
            raise ProbeError(f"prober of {self.flows[0].vantage}: {error}") from error

    def stop(self) -> None:
        """Ends sending; what was recorded stays readable."""
        self._stopped = True
        if self._child is not None:
            self._child.stop()

    @property
    def pid(self) -> int:
        return self._started().pid

    def alive(self) -> bool:
        """Whether the process exists. A frozen one does: see heartbeat_age_ns."""
        return self._child is not None and self._child.alive()

    def heartbeat_age_ns(self) -> int:
        """Time since the prober last went round its loop (at most every 100 ms when it is well)."""
        return time.monotonic_ns() - int(self._mapped()["heartbeat_ns"])

    def counters(self) -> Counters:
        """Totals since the start."""
        header = self._mapped()
        errors = header["send_errors"]
        return Counters(
            sent=int(header["sent"]),
            received=int(header["received"]),
            duplicates=int(header["duplicates"]),
            corrupt=int(header["corrupt"]),
            foreign=int(header["foreign"]),
            socket_drops=int(header["socket_drops"]),
            not_sent=int(header["not_sent"]),
            refused=int(header["refused"]),
            harness_errors=int(header["harness_errors"]),
            unstamped=int(header["unstamped"]),
            send_errors=tuple((errno.errorcode.get(int(i), str(i)), int(errors[i])) for i in np.flatnonzero(errors)),
            denied=int(header["denied"]),
            unnamed=int(header["names_overflow"]),
        )

    def backends(self) -> tuple[str, ...]:
        """Names seen in answers so far, by index."""
        header = self._mapped()
        return tuple(name.decode("ascii") for name in header["names"][: int(header["name_count"])])

    def window(self, t0_ns: int, t1_ns: int) -> FlowWindow:
        """Every probe due in [t0, t1). Ask 2 s after t1 if late answers are to be told from lost ones (`settled`).

        A probe that the prober has not come to send counts as NOT_SENT, and so does one whose answer it did not live, or run, to see.
        Raises ValueError for a window in the future, ProbeError for one that the records no longer hold.
        """
        now = time.monotonic_ns()
        if t1_ns > now:
            raise ValueError(f"the window ends {(t1_ns - now) / 1e9:.3f} s in the future")
        traces = tuple(self._trace(i, t0_ns, t1_ns) for i in range(len(self.flows)))
        if not self._stopped and (not self.alive() or self.heartbeat_age_ns() > HEARTBEAT_LIMIT_NS):
            traces = tuple(trace.heard_until(int(self._mapped()["heartbeat_ns"])) for trace in traces)
        return FlowWindow(t0_ns, t1_ns, now, self.backends(), traces, self._clock_step_ns(t0_ns, t1_ns))

    def last_impaired_ns(self, since_ns: int, grace_ns: int = DEFAULT_GRACE_NS) -> Ints:
        """Per flow, when its last impaired probe was due, of those due from `since_ns` to `grace_ns` ago; -1 if none.

        Unsent probes count as impaired, so a prober that stopped never looks quiet. For use while running.
        """
        return self._impaired(since_ns, grace_ns)[0]

    def quiet_since(self, t_ns: int, grace_ns: int = DEFAULT_GRACE_NS) -> bool:
        """Whether every flow has had a probe due since `t_ns` (and `grace_ns` ago), and all of them were answered."""
        last, probes = self._impaired(t_ns, grace_ns)
        return bool(np.all(probes > 0) and np.all(last < 0))

    def _impaired(self, since_ns: int, grace_ns: int) -> tuple[Ints, Ints]:
        header = self._mapped()
        scan = self._scans.get(grace_ns)
        if scan is None:
            scan = ImpairmentScan(self.flows, int(header["start_ns"]), self._status, self._rings)
            self._scans[grace_ns] = scan
        try:
            return scan.seen(since_ns, time.monotonic_ns() - grace_ns)
        except LookupError as error:
            raise self._too_old(*error.args) from error

    # -- reading ---------------------------------------------------------------------------------------------------

    def _trace(self, index: int, t0_ns: int, t1_ns: int) -> FlowTrace:
        flow = self.flows[index]
        first_due = int(self._mapped()["start_ns"]) + flow.phase_ns
        first, after = due_between(first_due, flow.interval_ns, t0_ns, t1_ns)
        next_seq = int(self._status[index]["next_seq"])
        if next_seq - first >= self.capacity and after > first:
            raise self._too_old(index, next_seq - first)
        seq = np.arange(first, after, dtype=np.int64)
        records = slots(self._rings[index], first, after)
        written = ((records["flags"] & layout.WRITTEN) != 0) & (records["seq"].astype(np.int64) == seq)
        flags = np.where(written, records["flags"], 0).astype(np.uint8)
        denial = np.where(written, records["denial"], layout.NOT_DENIED).astype(np.uint8)
        sent, tx, rx = (np.where(written, records[name], 0) for name in ("sent_ns", "tx_ns", "rx_ns"))
        return FlowTrace(
            flow=flow,
            seq=seq,
            due=first_due + seq * flow.interval_ns,
            tx=tx,
            rx=rx,
            sent=np.where(flags & layout.NOT_SENT, 0, sent),
            backend=np.where(written, records["backend"], layout.NO_BACKEND).astype(np.uint8),
            state=_states(flags, denial, np.where(tx > 0, tx, sent), rx),
            unstamped=(flags & layout.UNSTAMPED) != 0,
            icmp=np.where(written, records["icmp_type"].astype(np.uint16) * 256 + records["icmp_code"], 0).astype(
                np.uint16
            ),
            ttl=np.where(written, records["ttl"], 0).astype(np.uint8),
            duplicate=(flags & layout.DUPLICATE) != 0,
        )

    def _too_old(self, index: int, ago: int) -> ProbeError:
        who = self.flows[index].vantage
        return ProbeError(f"prober of {who}: the window begins {ago} probes ago, and the records hold {self.capacity}")

    def _clock_step_ns(self, t0_ns: int, t1_ns: int) -> int:
        header = self._mapped()
        return clock_step_ns(header["offsets"][: min(int(header["offset_count"]), layout.OFFSETS)], t0_ns, t1_ns)

    # -- starting --------------------------------------------------------------------------------------------------

    def _map(self, records: Path) -> None:
        size = records.stat().st_size
        status_at = layout.paged(layout.HEADER.itemsize)
        ring_at = status_at + layout.paged(len(self.flows) * layout.FLOW_STATUS.itemsize)
        expected = ring_at + len(self.flows) * self.capacity * layout.RECORD.itemsize
        raw = np.memmap(records, np.uint8, mode="r")
        header = raw[: layout.HEADER.itemsize].view(layout.HEADER).reshape(())
        if size != expected or header["magic"] != layout.RECORD_MAGIC or header["version"] != layout.VERSION:
            raise ProbeError(f"{records} is not in our layout; was the prober built from this tree?")
        status = raw[status_at : status_at + len(self.flows) * layout.FLOW_STATUS.itemsize]
        self._status = status.view(layout.FLOW_STATUS)
        self._rings = raw[ring_at:].view(layout.RECORD).reshape(len(self.flows), self.capacity)
        self._header = header
        self._scans.clear()

    def _not_sending(self, records: Path) -> str:
        try:
            self._map(records)
        except (ProbeError, OSError, ValueError):
            return "the prober has not begun its record file"
        silent = [f"{f.id}" for f, s in zip(self.flows, self._status, strict=True) if s["next_seq"] == 0]
        return f"flows that have sent nothing: {', '.join(silent)}"

    def _started(self) -> Child:
        if self._child is None:
            raise ProbeError("the prober was not started")
        return self._child

    def _mapped(self) -> Any:
        if self._header is None:
            raise ProbeError("the prober was not started")
        return self._header


def _states(flags: Bytes, denial: Bytes, left: Ints, rx: Ints) -> Bytes:
    answered = (flags & layout.ANSWERED) != 0
    state = np.full(len(flags), LOST, np.uint8)
    state[answered] = ANSWERED
    state[answered & ((flags & layout.CORRUPT) != 0)] = CORRUPT
    state[(denial == layout.BY_RST) | (denial == layout.BY_ICMP)] = REFUSED
    state[denial == layout.BY_STRAY_RST] = RESET
    state[answered & (rx - left > FORWARDING_DELAY_THRESHOLD_NS)] = LATE
    state[(flags == 0) | ((flags & layout.NOT_SENT) != 0)] = NOT_SENT
    return state
