"""The Locust users: our own, each request on an absolute schedule, and how a user's own are aimed. Knows no namespace."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import FastHttpUser, HttpUser, User, task

from probes.load.dispatch import apportion
from probes.load.record import Plan, Schedule, Target
from probes.load.recorder import Recorder


class PacedUser(FastHttpUser):
    """Asks one target at a constant rate. Late requests are made up for one after another, so none is left out.

    Subclasses made by `paced_users` say of which target, how many there are of them, and where they write.
    """

    abstract = True

    target: ClassVar[Target]
    target_number: ClassVar[int]
    interval_ns: ClassVar[int]
    stagger_ns: ClassVar[int]
    numbers: ClassVar[Iterator[int]]
    first_number: ClassVar[int]
    recorder: ClassVar[Recorder]
    reached: ClassVar[bool] = True
    """Whether this vantage reaches the target: Locust has the same users everywhere, and those of one out of reach rest."""

    def on_start(self) -> None:
        """Writes its schedule down. Users of one target start one after another, evenly over one interval."""
        if not self.reached:
            Event().wait()  # until it is stopped
        number = next(self.numbers)
        self.k = 0
        self.schedule = Schedule(
            user=number,
            target=self.target_number,
            first_ns=time.monotonic_ns() + (number - self.first_number) * self.stagger_ns,
            interval_ns=self.interval_ns,
        )
        self.recorder.write(self.schedule)

    @task
    def ask(self) -> None:
        """One request, when it is due or at once if that has passed."""
        due = self.schedule.due_ns(self.k)
        while (left := due - time.monotonic_ns()) > 0:
            gevent.sleep(left / 1e9)  # a schedule, not a wait for anything; timers of the event loop may be early
        self.client.get(
            self.target.path,
            headers={"Host": self.target.host},
            name=self.target.service,
            allow_redirects=False,  # another address is another path
            context={
                "user": self.schedule.user,
                "target": self.target_number,
                "k": self.k,
                "intended_ns": due,
                "start_ns": time.monotonic_ns(),
            },
        )
        self.k += 1


def paced_users(plan: Plan) -> list[type[PacedUser]]:
    """One class per target; users and rate are shared out evenly.

    Raises ValueError when there are fewer users than targets.
    """
    if plan.users < len(plan.targets):
        raise ValueError(f"{plan.users} users for {len(plan.targets)} targets: each needs one of its own")
    names = [f"Target{i:03}" for i in range(len(plan.targets))]
    counts = apportion(plan.users, dict.fromkeys(names, 1.0))
    classes: list[type[PacedUser]] = []
    first = 0
    for i, (name, target) in enumerate(zip(names, plan.targets, strict=True)):
        between = len(plan.targets) / plan.rate_per_s  # of two requests to this target, s
        attributes = {
            "host": target.url,
            "target": target,
            "target_number": i,
            "interval_ns": int(counts[name] * between * 1e9),
            "stagger_ns": int(between * 1e9),
            "numbers": itertools.count(first),
            "first_number": first,
            "fixed_count": counts[name],
            "connection_timeout": plan.connect_timeout_s,
            "network_timeout": plan.answer_timeout_s,
        }
        classes.append(type(name, (PacedUser,), attributes))
        first += counts[name]
    return classes


def aim(classes: Sequence[type[User]], target: Target) -> None:
    """Points users that name no host of their own at a target, with the `Host` header that its service goes by."""
    for cls in classes:
        if cls.host is None:
            cls.host = target.url
            if issubclass(cls, FastHttpUser):
                cls.default_headers = {"Host": target.host, **(cls.default_headers or {})}
            elif issubclass(cls, HttpUser):
                _say_host(cls, target.host)


def _say_host(cls: type[HttpUser], host: str) -> None:
    """HttpUser has no default headers: its session gets one when the user is made."""
    make: Any = cls.__init__

    @functools.wraps(make)
    def made(self: HttpUser, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.client.headers.setdefault("Host", host)

    setattr(cls, "__init__", made)  # noqa: B010 - an assignment is what mypy refuses
