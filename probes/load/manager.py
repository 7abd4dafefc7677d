"""Starts Locust, one worker per vantage, and reads what became of its requests while it runs. Judges nothing."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from probes.child import ORDINARY, Child, ProbeError, Started
from probes.load.figures import figures, own_lateness_ns, within
from probes.load.locustfile import LoadError
from probes.load.record import PULSE_NS, Follower, Ledger, Plan, Request, Target, VantagePlan
from reports.evidence.schema import Load

REPOSITORY = Path(__file__).resolve().parents[2]

BEGIN_S = 60.0
"""How long master and workers may take to begin, on a busy machine."""

STILL_NS = 5 * PULSE_NS
"""A worker that gave no sign of life for so long does not move."""


class LoadRun(Started):
    """Locust load from every vantage to every target. A context manager.

    `vantages` gives each vantage's network namespace; what is `unreached`, of (vantage, address), is left out there. Each has
    `users` users, which together start `rate_per_s` requests a second. With a `locustfile` its users run instead of ours, as
    often as they like; those that name no host get the vantage's first target's. Check it first (`check_locustfile`). Raises
    ValueError where a vantage reaches none.
    """

    def __init__(
        self,
        directory: Path,
        vantages: Mapping[str, Path],
        targets: tuple[Target, ...],
        *,
        users: int,
        rate_per_s: float,
        locustfile: Path | None = None,
        unreached: Collection[tuple[str, str]] = (),
    ) -> None:
        if not targets or not vantages:
            raise ValueError("load needs a vantage to come from and a target to go to")
        if users < len(targets) or not rate_per_s > 0:
            raise ValueError(f"{users} users at {rate_per_s} requests/s for {len(targets)} targets: too few")
        reached = {v: tuple(n for n, t in enumerate(targets) if (v, t.vip) not in unreached) for v in vantages}
        if idle := [vantage for vantage, numbers in reached.items() if not numbers]:
            raise ValueError(f"load needs a target for {', '.join(idle)}: none is reached from there")
        self._directory = directory
        self._plan = Plan(
            directory=str(directory),
            vantages=tuple(
                VantagePlan(
                    name, str(netns), str(directory / f"{name}.jsonl"), str(directory / f"{name}.log"), reached[name]
                )
                for name, netns in vantages.items()
            ),
            targets=targets,
            users=users,
            rate_per_s=rate_per_s,
            first_answer_s=0.0,
            locustfile=None if locustfile is None else str(locustfile.resolve()),
        )
        self._followers = {v.name: Follower(Path(v.lines)) for v in self._plan.vantages}
        self._pidfds: dict[str, int] = {}
        self._master: Child | None = None

    @property
    def vantages(self) -> tuple[str, ...]:
        """Where requests come from."""
        return tuple(self._followers)

    @property
    def paced(self) -> bool:
        """Whether intended starts are known. Not with a user's own locustfile: corrected times are raw ones there."""
        return self._plan.locustfile is None

    def start(self, deadline_s: float = 10.0) -> None:
        """Returns when every target has answered every vantage.

        Raises LoadError saying who had no answer, and why, `deadline_s` after the users began; that they begin at all
        may take BEGIN_S more, for importing Locust keeps a CPU busy for more than a second.
        """
        self._directory.mkdir(0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)  # who can enter could talk to the master
        for vantage in self._plan.vantages:
            for path in (vantage.lines, vantage.log):
                Path(path).write_bytes(b"")
        plan = self._directory / "load.plan"
        plan.write_bytes(msgspec.json.encode(msgspec.structs.replace(self._plan, first_answer_s=deadline_s)))
        argv = [sys.executable, "-m", "probes.load", str(plan)]
        # Behind the probers, beside everything else: load never makes a probe late, and is not starved by what it loads.
        self._master = Child(argv, None, self._directory / "master.log", {"PYTHONPATH": str(REPOSITORY)}, ORDINARY)
        try:
            self._master.wait_ready(BEGIN_S + deadline_s, self._unanswered)
        except ProbeError as error:
            self.stop()
            raise LoadError(f"load: {error}") from error
        if silent := self._unanswered():
            self.stop()
            raise LoadError(f"load: after {deadline_s:g} s: {silent}")
        for vantage in self._plan.vantages:
            self._hold(vantage.name)

    def stop(self) -> None:
        """Ends master and workers; the records stay readable."""
        if self._master is not None:
            for vantage in self._plan.vantages:
                self._hold(vantage.name)
            self._master.stop()  # the kernel ends workers with their master
        for fd in self._pidfds.values():
            if fd >= 0:
                _has_ended(fd, 1.0)
                os.close(fd)
        self._pidfds = dict.fromkeys(self._pidfds, -1)

    @property
    def pids(self) -> dict[str, int]:
        """The process of each vantage's worker, as far as they have begun, and of the `master`."""
        found = {name: pid for name in self._followers if (pid := self._ledger(name).pid) is not None}
        return found if self._master is None else found | {"master": self._master.pid}

    def alive(self) -> bool:
        """Whether master and all workers run."""
        return not self.missing()

    def missing(self) -> str:
        """A sentence naming what does not run any more; empty when all is well."""
        if self._master is None or not self._master.alive():
            return "the Locust master ended" if self._master is not None else "load was not started"
        now = time.monotonic_ns()
        said: list[str] = []
        for name in self._followers:
            age_ns = now - self._ledger(name).horizon_ns
            if self._ended(name):
                said.append(f"the Locust worker of {name} ended")
            elif age_ns > STILL_NS:
                said.append(f"the Locust worker of {name} gave no sign of life for {age_ns / 1e9:.1f} s")
        return "; ".join(said)

    def requests(self, vantage: str, t0_ns: int, t1_ns: int) -> list[Request]:
        """The requests of a vantage that were due in [t0, t1) and have ended, in the order in which they ended."""
        return within(self._ledger(vantage).requests, t0_ns, t1_ns)

    def lateness_ns(self, vantage: str, t0_ns: int, t1_ns: int) -> int:
        """The most that a request due in [t0, t1) left late for no reason but the load generator itself."""
        return max(own_lateness_ns(self._ledger(vantage).requests, t0_ns, t1_ns), default=0)

    def figures(self, vantage: str, phase: Literal["control", "fault", "recovery"], t0_ns: int, t1_ns: int) -> Load:
        """What became of the requests that were due in [t0, t1); see probes.load.figures."""
        ledger = self._ledger(vantage)
        return figures(
            ledger.requests,
            list(ledger.schedules.values()),
            horizon_ns=ledger.horizon_ns,
            vantage=vantage,
            phase=phase,
            users=self._plan.users,
            t0_ns=t0_ns,
            t1_ns=t1_ns,
        )

    def forget(self, before_ns: int) -> None:
        """Lets go of requests that had ended by then; of what is asked about later times, nothing is lost."""
        for follower in self._followers.values():
            follower.forget(before_ns)

    def _ledger(self, vantage: str) -> Ledger:
        return self._followers[vantage].catch_up()

    def _hold(self, vantage: str) -> None:
        """Takes hold of a worker, so that its end is seen and its pid is not mistaken for another's."""
        pid = self._ledger(vantage).pid
        if pid is not None and vantage not in self._pidfds:
            with contextlib.suppress(ProcessLookupError):
                self._pidfds[vantage] = os.pidfd_open(pid)

    def _ended(self, vantage: str) -> bool:
        fd = self._pidfds.get(vantage, -1)
        return fd < 0 or _has_ended(fd, 0.0)

    def _unanswered(self) -> str:
        """Who has had no answer yet, and why; empty when all have."""
        said: list[str] = []
        for vantage in self._plan.vantages:
            ledger = self._ledger(vantage.name)
            answered = {r.target for r in ledger.requests if r.failure is None}
            if not self.paced:
                if not answered:
                    said.append(f"no request from {vantage.name} was answered{_why(ledger, None)}")
                continue
            for number in vantage.targets:
                if number not in answered:
                    target = self._plan.targets[number]
                    why = _why(ledger, number)
                    said.append(f"{target.service} ({target.vip}) did not answer {vantage.name}{why}")
        return "; ".join(said)


def _why(ledger: Ledger, target: int | None) -> str:
    reasons = {r.failure for r in ledger.requests if r.failure is not None and target in (None, r.target)}
    if ledger.task_failure is not None:
        reasons.add(ledger.task_failure)
    if ledger.pid is None:
        reasons.add("its worker did not begin")
    return f" ({', '.join(sorted(reasons))})" if reasons else ""


def _has_ended(pidfd: int, within_s: float) -> bool:
    """Whether the process ends in time. By poll(2): select(2) knows no descriptor beyond 1,023."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(within_s * 1000))
