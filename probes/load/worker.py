"""The life of one worker process, from its fork to its end. Knows its plan and nothing of who reads its log."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection, Sequence
from pathlib import Path

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.stats import RequestStats

from probes.load.channel import NamespacedWorker, NumericOnly
from probes.load.record import PULSE_NS, Target, VantagePlan
from probes.load.recorder import Recorder
from probes.load.users import PacedUser, aim

PR_SET_PDEATHSIG = 1
ANSWERED = "nospof-answered"
"""The message by which a worker tells the master that it had its first answers."""


class FirstAnswers:
    """`complete` is set when each of these targets has answered once; any answer will do for a user's own locustfile."""

    def __init__(self, targets: Collection[int]) -> None:
        self._waiting = set(targets)
        self.complete = Event()

    def answered(self, target: int) -> None:
        """A request to `target` succeeded."""
        if self._waiting:
            self._waiting = set() if target < 0 else self._waiting - {target}
            if not self._waiting:
                self.complete.set()


def die_with_parent(parent: int) -> None:
    """A worker without its master is nobody's: the kernel ends it, also when it is stopped (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def run_worker(environment: Environment, vantage: VantagePlan, meeting: str, targets: Sequence[Target]) -> None:
    """Connects to the master, enters the namespace, and serves until the master says quit."""
    gevent.get_hub().resolver = NumericOnly()
    first = FirstAnswers(vantage.targets)
    recorder = Recorder(Path(vantage.lines), first.answered)
    aim(environment.user_classes, targets[vantage.targets[0]])
    for cls in environment.user_classes:
        if issubclass(cls, PacedUser):
            cls.recorder, cls.reached = recorder, cls.target_number in vantage.targets
    environment.events.request.add_listener(recorder.on_request)
    environment.events.user_error.add_listener(recorder.on_user_error)
    environment.stats = RequestStats(use_response_times_cache=False)  # as Locust does for its own workers
    runner = NamespacedWorker(environment, meeting, Path(vantage.netns))
    environment.runner = runner
    environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
    recorder.started()
    runner.greenlet.spawn(_pulse, recorder)
    runner.greenlet.spawn(_tell, runner, first.complete, vantage.name)
    runner.greenlet.join()


def _pulse(recorder: Recorder) -> None:
    while True:
        recorder.pulse()
        gevent.sleep(PULSE_NS / 1e9)  # not a wait for anything: this is the sign of life


def _tell(runner: NamespacedWorker, complete: Event, vantage: str) -> None:
    complete.wait()
    runner.send_message(ANSWERED, {"vantage": vantage})
