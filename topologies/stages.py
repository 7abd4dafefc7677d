"""Deployment stages of a node, its healthcheck and its delay: what waits for whom. Pure.

Source: containerlab's manual, nodes, `stages` and `healthcheck`; its rule that no two nodes wait for each other.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from topologies.document import Value, shown
from topologies.problems import closest, one_of

Stage = Literal["create", "create-links", "configure", "healthy", "exit"]
STAGES: tuple[Stage, ...] = ("create", "create-links", "configure", "healthy", "exit")
TARGETS = ("container", "host")
PHASES = ("on-enter", "on-exit")
MOST_S = 86_400
T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class WaitFor:
    """A node may not enter a stage before another has completed one. `line` is where the file says so."""

    node: str
    stage: Stage
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StageCommand:
    """Run when a node enters or leaves a stage, in it or on the host."""

    argv: tuple[str, ...]
    on_host: bool = False
    on_exit: bool = False


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What one stage of a node waits for, and what is run then."""

    wait_for: tuple[WaitFor, ...] = ()
    commands: tuple[StageCommand, ...] = ()

    def joined(self, other: StagePlan) -> StagePlan:
        """Both levels of the file: they add up, and nobody is waited for twice."""
        return StagePlan(tuple(dict.fromkeys(self.wait_for + other.wait_for)), self.commands + other.commands)


Stages = Mapping[Stage, StagePlan]


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A command whose success means that the node is healthy; times in seconds, Docker's defaults."""

    argv: tuple[str, ...]
    interval_s: int = 30
    timeout_s: int = 30
    retries: int = 3
    start_period_s: int = 0


def read_stages(value: Value) -> Stages:
    """Of a node, or of what it inherits; who is waited for is checked by `problems_of_order`."""
    found: dict[Stage, StagePlan] = {}
    for name, given in value.fields("'stages'", STAGES).items():
        stage: Stage = next(s for s in STAGES if s == name)
        parts = given.fields(f"the stage {name!r}", ("exec", "wait-for"))
        waits = parts["wait-for"].items("a list such as [{node: a, stage: healthy}]") if "wait-for" in parts else []
        commands = parts["exec"].items("a list such as [{command: 'ip link'}]") if "exec" in parts else []
        found[stage] = StagePlan(
            tuple(wait for item in waits if (wait := _wait_for(item))),
            tuple(command for item in commands if (command := _command(item, stage))),
        )
    return found


def _wait_for(value: Value) -> WaitFor | None:
    fields = value.fields("a wait-for", ("node", "stage"))
    node = fields["node"].text("a node's name") if "node" in fields else None
    if "node" not in fields:
        value.complain_missing("node", "the name of the node to wait for")
    stage = _one(fields.get("stage"), STAGES, "create")
    return WaitFor(node, stage, value.line) if node and stage else None


def _command(value: Value, stage: Stage) -> StageCommand | None:
    fields = value.fields("an exec of a stage", ("command", "phase", "target"))
    if "command" not in fields:
        value.complain_missing("command", "a command line")
        return None
    target, phase = _one(fields.get("target"), TARGETS, "container"), _one(fields.get("phase"), PHASES, "on-enter")
    argv = _argv(fields["command"])
    if argv is None or target is None or phase is None:
        return None
    if target == "container" and (stage, phase) == ("create", "on-enter"):
        fields["command"].complain("'phase: on-exit' or 'target: host': the container does not exist yet")
        return None
    return StageCommand(argv, target == "host", phase == "on-exit")


def _argv(value: Value) -> tuple[str, ...] | None:
    text = value.text("a command line")
    if text is None:
        return None
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        value.complain(f"a command line that a shell could split ({str(error).lower()})")
        return None
    if not argv:
        value.complain("a command line")
    return argv or None


def _one(value: Value | None, known: Sequence[T], default: T) -> T | None:
    if value is None:
        return default
    text = value.text(one_of(known))
    found = next((one for one in known if one == text), None)
    if text is not None and found is None:
        value.complain(f"{one_of(known)}{closest(text, known)}", shown(text))
    return found


def read_healthcheck(value: Value) -> Healthcheck | None:
    """`test` as Docker has it: [CMD, argv…], [CMD-SHELL, line] or [NONE]; None for no check, or one that is complained of."""
    fields = value.fields("'healthcheck'", ("interval", "retries", "start-period", "test", "timeout"))
    if "test" not in fields:
        value.complain_missing("test", "a list such as [CMD-SHELL, 'ping -c 1 10.0.0.1']")
        return None
    words = [item.text("a word") for item in fields["test"].items("a list such as [CMD-SHELL, 'curl -f localhost']")]
    argv = _test([word for word in words if word is not None], fields["test"])

    def seconds(key: str, least: int, default: int) -> int:
        rule = f"a whole number from {least} on" + ("" if key == "retries" else ", in seconds")
        found = fields[key].integer(least, MOST_S, rule) if key in fields else default
        return default if found is None else found

    interval, timeout = seconds("interval", 1, 30), seconds("timeout", 1, 30)
    retries, period = seconds("retries", 1, 3), seconds("start-period", 0, 0)
    return Healthcheck(argv, interval, timeout, retries, period) if argv else None


def _test(words: list[str], at: Value) -> tuple[str, ...]:
    match words:
        case ["NONE"]:
            return ()
        case ["CMD", first, *rest]:
            return (first, *rest)
        case ["CMD-SHELL", line]:
            return ("/bin/sh", "-c", line)
        case _:
            at.complain("[CMD, command, argument, …], [CMD-SHELL, 'a command line'] or [NONE]")
            return ()


def joined(levels: Iterable[Stages]) -> Stages:
    """The levels of the file from general to specific."""
    found: dict[Stage, StagePlan] = {}
    for level in levels:
        for stage, plan in level.items():
            found[stage] = found.get(stage, StagePlan()).joined(plan)
    return found


def problems_of_order(stages: Mapping[str, Stages], checked: Collection[str]) -> list[tuple[int, str, str, str]]:
    """(line, node, found, expected) of every wait that could never end. `checked`: nodes that have a healthcheck."""
    found = []
    for node, plans in stages.items():
        for stage, plan in plans.items():
            for wait in plan.wait_for:
                if wait.node not in stages:
                    expected = f"a node of this topology{closest(wait.node, list(stages))}"
                    found.append((wait.line, node, f"stage {stage} waits for node {shown(wait.node)}", expected))
                elif wait.stage == "healthy" and wait.node not in checked:
                    expected = f"a healthcheck of {wait.node}, or another stage of it"
                    found.append((wait.line, node, f"stage {stage} waits for {wait.node} to be healthy", expected))
    if circle := _circle({n: {w.node for p in plans.values() for w in p.wait_for} for n, plans in stages.items()}):
        first = min(w.line for p in stages[circle[0]].values() for w in p.wait_for if w.node == circle[1])
        found.append((first, circle[0], f"{' waits for '.join(circle)}", "no node that waits for itself, by any way"))
    return found


def _circle(waits: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Nodes that wait for each other in a ring, the first again at the end; empty where there is none."""
    done: set[str] = set()
    for start in waits:
        path: list[str] = []
        todo = [(start, False)]
        while todo:
            node, left = todo.pop()
            if left:
                done.add(path.pop())
            elif node in path:
                return (*path[path.index(node) :], node)
            elif node not in done:
                path.append(node)
                todo.append((node, True))
                todo += [(other, False) for other in sorted(waits.get(node, ())) if other in waits]
    return ()


def waited_for(stages: Mapping[str, Stages]) -> frozenset[tuple[str, Stage]]:
    """(node, stage) that somebody waits for."""
    return frozenset((w.node, w.stage) for plans in stages.values() for p in plans.values() for w in p.wait_for)
