"""Waits that a fault starts and nobody announces, such as a hold time: which of them explains that nothing was seen for so long.

Pure: it knows how long a wait lasts and when something was seen; it must not know which program told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reports.evidence.schema import StageName

UNSEEN_NS = 500_000_000
"""A message, a notice or a look-up that was not seen is believed to have taken so long at most."""
CAUSED_NS = 2_000_000_000
"""What a node was told or noticed explains what it does so long afterwards, and no longer."""
SETTLE_NS = 1_000_000_000
"""So long after its wait is over a node may take to act on it, and flows to follow."""

_EFFECTS: frozenset[StageName] = frozenset({"withdrawal", "fib"})


@dataclass(frozen=True, slots=True)
class Wait:
    """A timer at `node` that began at the failure or a little before it: it is over between `shortest_ns` and `longest_ns` after the
    failure. `takes_over`: who waits takes an address afterwards, so that it explains nothing where nobody did; `told` says which
    timer it is."""

    name: StageName
    node: str
    shortest_ns: int
    longest_ns: int
    told: str = ""
    takes_over: bool = False

    def explains(self, after_ns: int) -> bool:
        """Whether what was first seen so long after the failure may have waited for it."""
        return self.shortest_ns <= after_ns <= self.longest_ns + SETTLE_NS


@dataclass(frozen=True, slots=True)
class Step:
    """The end of a stage: what the stage is called, when, how exactly and where its end was seen, and by what."""

    name: StageName
    t_ns: int
    acc_ns: int
    node: str | None
    detail: str = ""


def explaining(
    waits: Iterable[Wait], after_ns: int, node: str | None = None, *, takes_over: bool = False
) -> Wait | None:
    """The wait that explains what was first seen so long after the failure, of several the one that ends nearest to it; of `node`
    alone, where one is given. None where none does."""
    fitting = [w for w in waits if w.explains(after_ns) and node in (None, w.node) and w.takes_over == takes_over]
    return min(fitting, key=lambda w: (abs(w.longest_ns - after_ns), w.node, w.told), default=None)


def explained(failure_ns: int, steps: Sequence[Step], waits: Sequence[Wait]) -> list[Step]:
    """Steps of a failover, where the last effect that came long after what should have caused it, or without anything, and just when
    a timer of its node was over, waited for that timer. What fits no timer and came too long after its cause is unexplained."""
    for number, step in reversed(list(enumerate(steps))):
        began_ns = steps[number - 1].t_ns if number else failure_ns
        if step.name in _EFFECTS and (not number or step.t_ns - began_ns > UNSEEN_NS):
            wait = explaining(waits, step.t_ns - failure_ns, step.node)
            if wait is not None:
                return [*_waited(failure_ns, wait, step), *steps[number + 1 :]]
    found = []
    for number, step in enumerate(steps):
        most_ns = CAUSED_NS if number else UNSEEN_NS
        late = step.t_ns - (steps[number - 1].t_ns if number else failure_ns) > most_ns
        found.append(replace(step, name="unexplained") if late and step.name in _EFFECTS else step)
    return found


def until_first_packet(
    failure_ns: int, steps: Sequence[Step], last: Step, waits: Sequence[Wait], takeovers: Sequence[Step]
) -> list[Step]:
    """The steps up to the first packet, `last`. One that came long after the step before it waited for a timer: for one that ended
    with one of `takeovers`, else for one that was over just then; or nobody knows for what."""
    began_ns = steps[-1].t_ns if steps else failure_ns
    if last.t_ns - began_ns <= UNSEEN_NS:
        return [*steps, last]
    for seen in reversed(takeovers):
        taken = explaining(waits, seen.t_ns - failure_ns, takes_over=True)
        if taken is not None:
            wait = _waited(failure_ns, taken, seen)[0]
            return [wait, _unless_late(last, wait.t_ns)]
    whole = explaining(waits, last.t_ns - failure_ns)
    if whole is not None:
        return [replace(_over(failure_ns, whole), t_ns=min(last.t_ns, failure_ns + whole.longest_ns)), last]
    return [*steps, _unless_late(last, began_ns)]


def _waited(failure_ns: int, wait: Wait, step: Step) -> list[Step]:
    """A wait, and the step that was kept waiting: where that came before the wait must be over, it is what tells its end."""
    if step.t_ns > failure_ns + wait.longest_ns:
        return [_over(failure_ns, wait), step]
    detail = "; ".join(part for part in (wait.told, step.detail) if part)
    return [Step(wait.name, step.t_ns, step.acc_ns, step.node, detail)]


def _over(failure_ns: int, wait: Wait) -> Step:
    return Step(
        wait.name, failure_ns + wait.longest_ns, wait.longest_ns - wait.shortest_ns, wait.node or None, wait.told
    )


def _unless_late(last: Step, began_ns: int) -> Step:
    if last.t_ns - began_ns <= UNSEEN_NS:
        return last
    return replace(last, name="unexplained", detail="no event was seen that the first packet waited for")
