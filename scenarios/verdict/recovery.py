"""When everything that a fault touched was whole again by itself: one figure for the limit `recover` and for reports. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scenarios.verdict.facts import Held, Trial


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long after the event all was whole, in ns. `censored`: something was not before the heal, and until then is how long it took
    at least."""

    after_ns: int
    censored: bool


def recovery(trial: Trial) -> Recovery | None:
    """Of every series, and of every place whose connection broke. None where nothing was touched."""
    touched = [s.fault for s in trial.series if s.touched or not trial.carries]
    places = [c.again_ns for c in lost_places(trial)]
    if not touched and not places:
        return None
    open_ = any(lost.open for lost in touched) or None in places
    ended = (*(lost.ended_ns for lost in touched), *(again for again in places if again is not None))
    return Recovery(max(*ended, trial.stood_ns if open_ else 0, 0), open_)


def lost_places(trial: Trial) -> Iterator[Held]:
    """The touched connections that broke before the heal. An idle one is left out: it is asked once, shortly before the heal, and its
    break says nothing of when a loss ended."""
    return (c for c in trial.connections if (c.touched or not trial.carries) and c.use != "idle" and c.broke == "fault")
