"""The master: lets the workers begin together, and keeps each at its own users whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gevent
from gevent.event import Event
from locust import User
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner

from probes.load.worker import ANSWERED

GATHER_S = 15.0
"""After this long the workers that are there begin without the rest."""


class SteadyMaster(MasterRunner):
    """Locust's master, with a total that follows the number of workers. It listens at `meeting`: call `meet_by_path` before."""

    def __init__(self, environment: Environment, users_per_worker: int, meeting: str) -> None:
        self._users = users_per_worker
        super().__init__(environment, meeting, 0)

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: list[type[User]] | None = None
    ) -> None:
        """Locust calls this again with an old total when a worker comes or goes; the total is made anew here."""
        del user_count
        super().start(self._users * self.worker_count, spawn_rate, wait, user_classes)


class Gathering:
    """Who has connected, and who has been answered."""

    def __init__(self, runner: SteadyMaster, vantages: Sequence[str]) -> None:
        self._missing = len(vantages)
        self._unanswered = set(vantages)
        self.connected = Event()
        self.answered = Event()
        runner.environment.events.worker_connect.add_listener(self._on_connect)
        runner.register_message(ANSWERED, self._on_answered)

    def _on_connect(self, **_: Any) -> None:
        self._missing -= 1
        if self._missing <= 0:
            self.connected.set()

    def _on_answered(self, *, msg: Message, **_: Any) -> None:
        data: Mapping[str, str] = msg.data
        self._unanswered.discard(data["vantage"])
        if not self._unanswered:
            self.answered.set()


def begin(runner: SteadyMaster, gathering: Gathering, first_answer_s: float) -> None:
    """Starts the users of all workers. Returns when every vantage has had its first answers, or has had the time."""
    gathering.connected.wait(GATHER_S)
    gevent.idle()  # the worker that came last is taken into the list after it is announced
    runner.start(0, spawn_rate=1.0)
    gathering.answered.wait(first_answer_s)
