"""Plays a scenario at one target: makes the lab whole first, chooses the target, and tries once more where CPUs were short."""

from __future__ import annotations

import contextlib
import gc
import itertools
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from probes.child import ProbeError
from reports.evidence import schema
from reports.evidence.again import again
from scenarios import at_rest
from scenarios.asked import Play
from scenarios.bench import Bench
from scenarios.boot import Booted
from scenarios.faults.base import Fault
from scenarios.phases import NothingCarries, Scenario
from scenarios.targets import named_links

FURTHER_ATTEMPTS = 3
CALM_AGAIN_S = 30.0

Target = TypeVar("Target")
Made = Callable[[Booted, Target], Fault]
"""Makes the fault at a target."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one target: the verdict of its last attempt, and whether it counts for the exit code."""

    key: str
    word: schema.VerdictWord
    said: str
    counts: bool = True
    reason: str = ""


@dataclass
class Player:
    """Plays the trials of a run, and remembers what they came to. A run has a few further attempts and no more: a host that is always
    busy shall not keep it for hours."""

    attempts_left: int = FURTHER_ATTEMPTS
    played: list[Played] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set, repr=False)

    def at_rest(self, bench: Bench) -> None:
        """Once a run, before anything is broken: the stack at rest, where there is anything to judge of it."""
        if at_rest.wanted(bench):
            key = at_rest.KEY
            judged = at_rest.judge_at_rest(bench, key)
            if judged.disturbed and self.attempts_left:
                bench.say(f"{key}: unknown, since the CPUs were busy; once more: {judged.reason}")
                self._give_time(bench)
                key = again(key)
                judged = at_rest.judge_at_rest(bench, key)
            self.played.append(Played(key, judged.verdict, judged.reason))

    def play(self, bench: Bench, play: Play, target: str | None, make: Made[str], options: Sequence[str]) -> Played:
        """One trial at this target (None: the first candidate that carries traffic).

        Where it is unknown for nothing but too little CPU there is another, for which the host is first given fewer probes to carry
        and time to calm down.
        """
        name = play.entry.name
        key = self._unused(name if target is None or len(play.targets) == 1 else f"{name} {target}")
        trial = self._trial(bench, play, target, make, options, key)
        found = self._tried(bench, trial)
        if trial.disturbed and self.attempts_left:
            bench.say(f"{key}: unknown, since the CPUs were busy; once more: {found.reason}")
            self._give_time(bench)
            found = self._tried(bench, self._trial(bench, play, target, make, options, again(key), found.reason))
        self.played.append(found)
        return found

    def _give_time(self, bench: Bench) -> None:
        """Before a further attempt, which is one less from here on."""
        self.attempts_left -= 1
        with contextlib.suppress(ProbeError):  # then the next attempt will tell
            bench.thin("a further attempt must not fail for the same reason")
            bench.calm(CALM_AGAIN_S)

    def _unused(self, key: str) -> str:
        """The same; `kill-l4 (2)` where a trial of that name was played before: each has evidence of its own."""
        numbered = (f"{key} ({n})" for n in itertools.count(2))
        found = next(k for k in itertools.chain([key], numbered) if k not in self._keys)
        self._keys.add(found)
        return found

    def _trial(
        self,
        bench: Bench,
        play: Play,
        target: str | None,
        make: Made[str],
        options: Sequence[str],
        key: str,
        earlier: str = "",
    ) -> Scenario:
        def build(on: Bench) -> Fault:
            return make(on.booted, _element(on, play, target))

        def reproduce(fault: Fault) -> str:
            return shlex.join(["./nospof", "run", play.entry.name, "--target", fault.plan.target, *options])

        return Scenario(bench, play.entry, build, reproduce, key, earlier)

    def _tried(self, bench: Bench, trial: Scenario) -> Played:
        if why := bench.make_whole():
            return _not_played(bench, trial, f"The lab could not be made whole after the trial before: {why}.")
        try:
            concluded = trial.run()
        except NothingCarries as error:
            return _not_played(bench, trial, f"{error}.")
        except BaseException as error:
            # nobody knows what it left behind
            bench.broken = bench.broken or f"{trial.key} ended with {type(error).__name__}: {error}"
            raise
        finally:
            gc.collect()  # now that nothing is judged: garbage.py
        verdict = concluded.verdict
        bench.say(f"{trial.key}: {verdict.verdict.upper()}: {verdict.headline}")
        judged = concluded.judged
        return Played(trial.key, verdict.verdict, f"{verdict.headline} {verdict.reason}", judged.counts, judged.reason)


def _element(bench: Bench, play: Play, target: str | None) -> str:
    """What is broken: the target, or the first that carries traffic of those it stands for, or that come into question unasked.
    Raises NothingCarries where nobody named any."""
    if target is None:
        if found := _first_that_carries(bench, play, play.candidates):
            return found
        shown = ", ".join(play.candidates[:8])
        raise NothingCarries(f"None of {shown} carries traffic to a VIP, so that breaking it would show nothing")
    if play.entry.kind != "link":
        return target
    links = tuple(map(str, named_links(bench.booted.topology, target)))
    return _first_that_carries(bench, play, links) or links[0]


def _first_that_carries(bench: Bench, play: Play, candidates: Sequence[str]) -> str:
    """Empty where none does."""
    carrying = bench.carrying()
    return next((one for one in candidates if not carrying.isdisjoint(_parts(bench, play, one))), "")


def _parts(bench: Bench, play: Play, candidate: str) -> frozenset[str]:
    """What of an element can carry traffic: of a region its nodes, clients excepted."""
    if play.entry.kind != "region":
        return frozenset((candidate,))
    return frozenset(n.name for n in bench.booted.topology.nodes_in_region(candidate) if n.role != "client")


def _not_played(bench: Bench, trial: Scenario, reason: str) -> Played:
    """Unknown: nothing was broken, and the evidence says why."""
    entry = trial.entry
    verdict = schema.Verdict(
        scenario=trial.key,
        title=entry.title,
        fault=entry.fault,
        target="",
        element=entry.title,
        verdict="unknown",
        reason=reason,
        headline=f"{entry.name} was not played.",
        interval_ms=bench.instruments.interval_ns / 1e6,
        flows=0,
        touched=0,
        connections=0,
        broken=0,
        vantages=(),
        judged=(),
        reproduce=f"./nospof run {entry.name}",
        carried=False,
    )
    bench.writer.write(verdict, t_ns=time.monotonic_ns(), scenario=trial.key)
    bench.say(f"{trial.key}: UNKNOWN: {reason}")
    return Played(trial.key, "unknown", f"{verdict.headline} {reason}")
