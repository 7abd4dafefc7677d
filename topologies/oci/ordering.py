"""Starts nodes that wait for each other: each goes through its stages as soon as those whom it waits for have."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from topologies.linux.lab import LinuxLab
from topologies.model import Node
from topologies.runtime import RuntimeFailure, Say
from topologies.stages import Stage, StageCommand, StagePlan, waited_for

HOST_COMMAND_S = 60.0


class _Stopped(Exception):
    """Another node failed: this one need not go on."""


class Board:
    """Which node has completed which stage."""

    def __init__(self) -> None:
        self._done: set[tuple[str, Stage]] = set()
        self._news = threading.Condition()
        self._stopped = False

    def complete(self, node: str, stage: Stage) -> None:
        with self._news:
            self._done.add((node, stage))
            self._news.notify_all()

    def stop(self) -> None:
        """Nobody waits any longer."""
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def wait(self, plan: StagePlan, *, seconds: float | None = None) -> None:
        """Until everybody whom the plan waits for has got there, or for so many seconds. Raises _Stopped."""
        wanted = {(w.node, w.stage) for w in plan.wait_for}
        with self._news:
            self._news.wait_for(lambda: self._stopped or (seconds is None and wanted <= self._done), seconds)
            if self._stopped:
                raise _Stopped


class Ordering:
    """One deployment of nodes in the order of their stages. `start` starts one container."""

    def __init__(self, lab: LinuxLab, start: Callable[[str], None], at_once: int, say: Say) -> None:
        self._lab, self._start, self._say = lab, start, say
        self._starting = threading.Semaphore(at_once)
        self._board = Board()
        nodes: Mapping[str, Node] = lab.topology.nodes
        self._wanted = waited_for({name: node.stages for name, node in nodes.items()})

    def run(self) -> None:
        """Returns when every node is through. Raises RuntimeFailure for the first that failed."""
        nodes = list(self._lab.topology.nodes.values())
        with ThreadPoolExecutor(len(nodes)) as pool:
            futures = [pool.submit(self._through, node) for node in nodes]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                if not all(f.done() and f.exception() is None for f in futures):
                    self._board.stop()
            failed = [error for f in futures if (error := f.exception())]
        for error in failed:
            if not isinstance(error, _Stopped):
                raise error

    def _through(self, node: Node) -> None:
        self._stage(node, "create", lambda: self._create(node))
        self._stage(node, "create-links", lambda: None)
        self._stage(node, "configure", lambda: None)
        self._lab.run_execs([node.name])
        if self._needs(node, "healthy"):
            self._stage(node, "healthy", lambda: self._healthy(node))
        if self._needs(node, "exit"):
            self._stage(node, "exit", lambda: self._ended(node))

    def _needs(self, node: Node, stage: Stage) -> bool:
        return (node.name, stage) in self._wanted or stage in node.stages

    def _stage(self, node: Node, stage: Stage, work: Callable[[], None]) -> None:
        plan = node.stages.get(stage, StagePlan())
        self._board.wait(plan)
        self._commands(node, [c for c in plan.commands if not c.on_exit])
        work()
        self._commands(node, [c for c in plan.commands if c.on_exit])
        self._board.complete(node.name, stage)

    def _create(self, node: Node) -> None:
        if node.startup_delay:
            self._board.wait(StagePlan(), seconds=node.startup_delay)
        with self._starting:
            self._start(node.name)

    def _commands(self, node: Node, commands: list[StageCommand]) -> None:
        for command in commands:
            words = " ".join(command.argv)
            try:
                if command.on_host:
                    code = subprocess.run(
                        command.argv, check=False, capture_output=True, timeout=HOST_COMMAND_S
                    ).returncode
                else:
                    code = self._lab.exec(node.name, command.argv, timeout_s=HOST_COMMAND_S).code
            except (OSError, RuntimeFailure, subprocess.TimeoutExpired) as error:
                self._say(f"node {node.name}: exec `{words}`: {error}")
                continue
            if code != 0:
                self._say(f"node {node.name}: exec `{words}` ended with {code}")

    def _healthy(self, node: Node) -> None:
        check = node.healthcheck
        if check is None:
            return
        said, failures, began = "", 0, time.monotonic()
        while True:
            try:
                done = self._lab.exec(node.name, check.argv, timeout_s=check.timeout_s)
            except RuntimeFailure as error:
                code, said = 1, str(error)
            else:
                code, said = done.code, (done.err or done.out).strip()
            if code == 0:
                return
            failures += time.monotonic() - began >= check.start_period_s
            if failures >= check.retries:
                raise RuntimeFailure(
                    f"node {node.name}: its healthcheck failed {failures} times in a row, {check.interval_s} s apart: "
                    f"{said.splitlines()[-1] if said else 'it said nothing'}"
                )
            self._board.wait(StagePlan(), seconds=check.interval_s)

    def _ended(self, node: Node) -> None:
        while self._lab.init_pid(node.name) is not None:
            self._board.wait(StagePlan(), seconds=0.1)
