"""`python -m probes.load PLAN`: one Locust master and its workers. Knows its plan and nothing of who reads the logs.

Locust is imported once, then the workers are forked from it: that is most of the cost of starting them. It ends on
SIGTERM, or when whoever holds its standard input is gone; the workers end with it.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import gevent
import locust
import msgspec
from gevent.event import Event
from gevent.socket import wait_read
from locust import User
from locust.argument_parser import get_parser
from locust.env import Environment

from probes.load.channel import address_in, meet_by_path
from probes.load.dispatch import SameEverywhere
from probes.load.locustfile import load_users
from probes.load.master import Gathering, SteadyMaster, begin
from probes.load.record import Plan, VantagePlan
from probes.load.users import paced_users
from probes.load.worker import die_with_parent, run_worker

END_S = 1.0
"""How long workers may take to say goodbye."""


def environment_of(plan: Plan, classes: Sequence[type[User]]) -> Environment:
    """What master and workers share. Locust's own command line is empty here, and its configuration files are not read."""
    options = get_parser(default_config_files=[]).parse_args([], env_vars={})
    return Environment(
        user_classes=list(classes),
        events=locust.events,
        parsed_options=options,
        dispatcher_class=functools.partial(SameEverywhere, plan.users),  # type: ignore[arg-type]
    )


def fork_worker(plan: Plan, environment: Environment, vantage: VantagePlan, meeting: str) -> tuple[int, int]:
    """A worker that waits for its master. Returns its pid and where to write a word once the master listens."""
    heard, told = os.pipe()
    parent = os.getpid()
    if pid := os.fork():
        os.close(heard)
        return pid, told
    try:
        die_with_parent(parent)
        os.close(told)
        log = os.open(vantage.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if os.read(heard, 16):
            run_worker(environment, vantage, meeting, plan.targets)
        os._exit(0)
    except BaseException:
        logging.exception("the worker of %s ended", vantage.name)
        os._exit(1)


def main(plan: Plan) -> None:
    """Runs a plan until told to stop."""
    ready = os.dup(1)
    os.dup2(2, 1)  # what a locustfile prints is not our word
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("locust").setLevel(logging.WARNING)
    path = plan.locustfile
    classes: Sequence[type[User]] = load_users(Path(path), path) if path else paced_users(plan)
    environment = environment_of(plan, classes)
    os.umask(0o077)
    meet_by_path()
    meeting = address_in(Path(plan.directory))
    workers = [fork_worker(plan, environment, vantage, meeting) for vantage in plan.vantages]

    stop = Event()
    gevent.signal_handler(signal.SIGTERM, stop.set)
    gevent.spawn(wait_read, 0).link(lambda _: stop.set())
    runner = SteadyMaster(environment, plan.users, meeting)
    environment.runner = runner
    gathering = Gathering(runner, [vantage.name for vantage in plan.vantages])
    environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
    for _, told in workers:
        os.write(told, b"listening")
        os.close(told)
    begun = gevent.spawn(begin, runner, gathering, plan.first_answer_s)
    begun.link_value(lambda _: os.write(ready, b"begun\n"))
    stop.wait()
    runner.quit()
    with gevent.Timeout(END_S, False):
        for pid, _ in workers:
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
    os._exit(0)  # whoever is left of the workers ends with us
