"""Runs the compiled requester in a client's network namespace and reads its records while it sends. Judges nothing."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.child import Child, ProbeError, Started
from probes.flows import Ints
from probes.impaired import ImpairmentScan
from probes.offsets import clock_step_ns
from probes.requests import layout
from probes.requests.plan import LEAST_REST_NS, RequestSeries
from probes.requests.trace import Outcome, RequestTrace, RequestWindow
from probes.rings import due_between, slots

Good = Callable[[Any], NDArray[np.bool_]]
"""Which of these records are of requests that were good."""

DEFAULT_GRACE_NS = 1_000_000_000
"""How long a request may take before it counts as failed while things are still running: TLS takes several round trips."""

TICK_NS = 100_000_000
"""Between two of the requester's own notes on how late it was."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the start; each is explained in probes/native/requester/records.h."""

    sent: int
    good: int
    failed: int
    not_sent: int
    harness_errors: int
    unstamped: int
    unnamed: int
    under_way: int
    errors: tuple[tuple[str, int], ...]


class Requester(Started):
    """Makes the requests of `series` from the network namespace `netns` until stopped. A context manager.

    `directory` gets the plan, the records and the log; put it on tmpfs, since a disk that flushes can hold up a request. The
    records hold the last `capacity` requests of each series, and outlive the process however it ends. Raises ValueError
    without series, or for fewer records than there can be open requests.
    """

    def __init__(
        self, binary: Path, netns: Path, series: Sequence[RequestSeries], directory: Path, capacity: int = 8192
    ) -> None:
        if not series:
            raise ValueError("a requester needs at least one series")
        if capacity * min(s.interval_ns for s in series) < LEAST_REST_NS:
            raise ValueError(f"{capacity} records: they would be overwritten within {LEAST_REST_NS / 1e9:g} s")
        self.series = tuple(series)
        self.capacity = capacity
        self._binary = binary
        self._netns = netns
        self._directory = directory
        self._child: Child | None = None
        self._header: Any = None
        self._status: Any = None
        self._rings: Any = None
        self._scans: dict[tuple[int, Good], ImpairmentScan] = {}

    def start(self, deadline_s: float = 5.0) -> None:
        """Returns when every series has sent its first request. Raises ProbeError saying what was missing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        plan, records = self._directory / "requests-plan", self._directory / "requests"
        records.unlink(missing_ok=True)
        plan.write_bytes(layout.pack_plan(self.series, self.capacity))
        self._child = Child([self._binary, plan, records], self._netns, self._directory / "requests-log")
        try:
            self._child.wait_ready(deadline_s, lambda: self._not_sending(records))
            self._map(records)
        except ProbeError as error:
            raise ProbeError(f"requester of {self.series[0].vantage}: {error}") from error

    def stop(self) -> None:
        """Ends sending, and every request that is under way; what was recorded stays readable."""
        if self._child is not None:
            self._child.stop()

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProbeError("the requester was not started")
        return self._child.pid

    def alive(self) -> bool:
        """Whether the process exists. A frozen one does: see heartbeat_age_ns."""
        return self._child is not None and self._child.alive()

    def heartbeat_age_ns(self) -> int:
        """Time since the requester last went round its loop (at most every 100 ms when it is well)."""
        return time.monotonic_ns() - int(self._mapped()["heartbeat_ns"])

    def counters(self) -> Counters:
        """Totals since the start."""
        header = self._mapped()
        errors = header["errors"]
        return Counters(
            sent=int(header["sent"]) + int(header["open"]),
            good=int(header["good"]),
            failed=int(header["failed"]),
            not_sent=int(header["not_sent"]),
            harness_errors=int(header["harness_errors"]),
            unstamped=int(header["unstamped"]),
            unnamed=int(header["names_overflow"]),
            under_way=int(header["open"]),
            errors=tuple((errno.errorcode.get(int(i), str(i)), int(errors[i])) for i in np.flatnonzero(errors)),
        )

    def backends(self) -> tuple[str, ...]:
        """Names seen in answers so far, by index."""
        header = self._mapped()
        return tuple(name.decode("ascii") for name in header["names"][: int(header["name_count"])])

    def said(self) -> tuple[str, ...]:
        """Per series, what was last wrong with TLS, or with what was heard in place of an answer; empty where nothing was."""
        self._mapped()
        return tuple(words.decode(errors="replace") for words in self._status["said"])

    def window(self, t0_ns: int, t1_ns: int) -> RequestWindow:
        """Every request due in [t0, t1). Ask 2.2 s after t1 if all are to have ended (`settled`).

        A request that the requester has not come to send counts as NOT_SENT. Raises ValueError for a window in the future,
        ProbeError for one that the records no longer hold.
        """
        now = time.monotonic_ns()
        if t1_ns > now:
            raise ValueError(f"the window ends {(t1_ns - now) / 1e9:.3f} s in the future")
        traces = tuple(self._trace(i, t0_ns, t1_ns) for i in range(len(self.series)))
        ticks = self._ticks()
        stall = stall_ns(ticks, t0_ns, t1_ns, now)
        return RequestWindow(t0_ns, t1_ns, now, self.backends(), traces, stall, clock_step_ns(ticks, t0_ns, t1_ns))

    def last_failed_ns(self, since_ns: int, grace_ns: int = DEFAULT_GRACE_NS) -> Ints:
        """Per series, when its last failed request was due, of those due from `since_ns` to `grace_ns` ago; -1 if none.

        One that has not been answered yet counts as failed until it is, one that was never sent for ever, so a requester that
        stopped never looks quiet. For use while running.
        """
        return self._failed(since_ns, grace_ns, _answered_rightly)[0]

    def quiet_since(self, t_ns: int, grace_ns: int = DEFAULT_GRACE_NS) -> bool:
        """Whether every series has had a request due since `t_ns` (and `grace_ns` ago), and all of them were answered rightly.
        Whose an answer is it need not say: where only some backends do, the control window will tell."""
        last, requests = self._failed(t_ns, grace_ns, _answered)
        return bool(np.all(requests > 0) and np.all(last < 0))

    def _failed(self, since_ns: int, grace_ns: int, good: Good) -> tuple[Ints, Ints]:
        header = self._mapped()
        scan = self._scans.get((grace_ns, good))
        if scan is None:
            scan = ImpairmentScan(self.series, int(header["start_ns"]), self._status, self._rings, good)
            self._scans[grace_ns, good] = scan
        try:
            return scan.seen(since_ns, time.monotonic_ns() - grace_ns)
        except LookupError as error:
            raise self._too_old(*error.args) from error

    # -- reading ---------------------------------------------------------------------------------------------------

    def _trace(self, index: int, t0_ns: int, t1_ns: int) -> RequestTrace:
        series = self.series[index]
        first_due = int(self._mapped()["start_ns"]) + series.phase_ns
        first, after = due_between(first_due, series.interval_ns, t0_ns, t1_ns)
        next_seq = int(self._status[index]["next_seq"])
        if next_seq - first >= self.capacity and after > first:
            raise self._too_old(index, next_seq - first)
        seq = np.arange(first, after, dtype=np.int64)
        records = slots(self._rings[index], first, after)
        outcome = records["outcome"].copy()  # first: what is final is then final in the other columns, too
        written = (records["written"] != 0) & (records["seq"].astype(np.int64) == seq)

        def column(name: str, otherwise: int = 0) -> Any:
            return np.where(written, records[name], np.array(otherwise, records.dtype[name]))

        return RequestTrace(
            series=series,
            seq=seq,
            due=first_due + seq * series.interval_ns,
            sent=column("sent_ns"),
            connected=column("connected_ns"),
            handshaken=column("handshaken_ns"),
            first_byte=column("first_byte_ns"),
            done=column("done_ns"),
            sport=column("sport"),
            status=column("status"),
            backend=column("backend", layout.NO_BACKEND),
            outcome=np.where(written, outcome, np.uint8(Outcome.NOT_SENT)),
        )

    def _too_old(self, index: int, ago: int) -> ProbeError:
        who = self.series[index].vantage
        return ProbeError(
            f"requester of {who}: the window begins {ago} requests ago, and the records hold {self.capacity}"
        )

    def _ticks(self) -> Any:
        header = self._mapped()
        return header["ticks"][: min(int(header["tick_count"]), layout.TICKS)]

    # -- starting --------------------------------------------------------------------------------------------------

    def _map(self, records: Path) -> None:
        raw = np.memmap(records, np.uint8, mode="r")
        header = raw[: layout.HEADER.itemsize].view(layout.HEADER).reshape(())
        if (
            raw.size != layout.record_bytes(len(self.series), self.capacity)
            or header["magic"] != layout.RECORD_MAGIC
            or header["version"] != layout.VERSION
        ):
            raise ProbeError(f"{records} is not in our layout; was the requester built from this tree?")
        self._header, self._status, self._rings = layout.parts(raw, len(self.series), self.capacity)
        self._scans.clear()

    def _not_sending(self, records: Path) -> str:
        try:
            self._map(records)
        except (ProbeError, OSError, ValueError):
            return "the requester has not begun its record file"
        silent = [f"{s.id}" for s, status in zip(self.series, self._status, strict=True) if status["next_seq"] == 0]
        return f"series that have sent nothing: {', '.join(silent)}"

    def _mapped(self) -> Any:
        if self._header is None:
            raise ProbeError("the requester was not started")
        return self._header


def _answered_rightly(records: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (records["written"] != 0) & (records["outcome"] == Outcome.OK)
    return found


def _answered(records: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (records["written"] != 0) & np.isin(
        records["outcome"], (Outcome.OK, Outcome.NO_IDENTITY)
    )
    return found


def stall_ns(ticks: Any, t0_ns: int, t1_ns: int, now_ns: int) -> int:
    """By how long the requester came too late to anything in [t0, t1), at most, from its ticks: each tells of the time before it.

    Where none has told of the whole window by `now_ns`, the next one is as late as it is by now.
    """
    ticks = ticks[np.argsort(ticks["mono_ns"])]
    low = int(np.searchsorted(ticks["mono_ns"], t0_ns))
    high = int(np.searchsorted(ticks["mono_ns"], t1_ns)) + 1
    told = int(ticks["late_ns"][low:high].max(initial=0))
    if len(ticks) and ticks["mono_ns"][-1] < t1_ns:
        return max(told, now_ns - int(ticks["mono_ns"][-1]) - TICK_NS)
    return told
