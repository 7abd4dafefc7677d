"""How the requests of the 5 s after the event, or after the heal, and the load's worst 5 s fared: a percentile and a share. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.verdict.doubts import strongest
from scenarios.verdict.facts import Load, Loaded, Part, Trial
from scenarios.verdict.ranges import UNKNOWN, Range, doubted
from scenarios.verdict.row import NEEDED, NOUNS, Asked, Row, Where, about, judged

LATENCY_SAMPLES = 100
"""From so many requests on there is a 99th percentile."""

FAILED_LATENCY_NS = 2_000_000_000

LEAST_STEP_NS = 1_000
"""Nobody wants to read of a latency, or needs for its limit, more than its microseconds."""


def latency(trial: Trial, budget: str, limit: int | None, where: Where, part: Part = "fault") -> Iterator[Row]:
    """After the heal the limit holds once more, where there are requests enough or one too many was slow."""
    loaded = trial.loaded(part)
    if where == "touched":
        waits = loaded.latencies_ns if trial.carries else (*loaded.latencies_ns, *loaded.latencies_elsewhere_ns)
    else:
        waits = loaded.latencies_elsewhere_ns
    if limit is None or (not waits and (where == "elsewhere" or part == "after")):
        return
    asked = Asked("latency", where, part, budget, limit)
    ordered = sorted(waits)
    enough = len(ordered) >= LATENCY_SAMPLES
    # of fewer than a hundred, the second longest is one that a hundred could not have had below their 99th percentile either
    rank = -(-99 * len(ordered) // 100) - 1 if enough else max(0, len(ordered) - 2)
    figure = ordered[rank] if ordered else 0
    doubts = about(trial, [("request", "")], where, part)
    makes, hides, strong, _ = strongest(doubts)
    width = strong + trial.lateness_ns.get(("request", part), 0)
    certain = figure >= FAILED_LATENCY_NS  # it failed, which no lateness of ours explains
    low = figure - strong if certain else figure - width
    least = max(0, low) if enough or len(ordered) > 1 else 0
    found = doubted(Range(least, figure + width), makes=makes, hides=hides or not enough)
    row = judged(
        trial, asked, figure=figure, found=found, unit="ns", samples=len(ordered), noun=NOUNS["request"],
        doubts=doubts, needed=LATENCY_SAMPLES, step_ns=int(max(width, LEAST_STEP_NS)),
    )  # fmt: skip
    if part == "fault" or enough or figure > limit:
        yield row


def load(trial: Trial, budget: str, limit: float | None, where: Where, part: Part = "fault") -> Iterator[Row]:
    """After the heal the limit holds once more, where the load asked often enough."""
    loaded = trial.loaded(part)
    load = loaded.load_elsewhere if where == "elsewhere" else loaded.load if trial.carries else _worse(loaded)
    if limit is None or (load is None and (where == "elsewhere" or part == "after")):
        return
    asked = Asked("load_fail", where, part, budget, limit)
    doubts = about(trial, [("load", "")], where, part)
    makes, hides, _, _ = strongest(doubts)
    share = _share(load)
    found = UNKNOWN if load is None else doubted(Range(share, share, surely=share > 0), makes=makes, hides=hides)
    row = judged(
        trial, asked, figure=share, found=found, unit="percent", samples=load.requests if load else 0,
        noun=NOUNS["load"], doubts=doubts,
    )  # fmt: skip
    if part == "fault" or share > limit or row.samples >= NEEDED:
        yield row


def _share(load: Load | None) -> float:
    """How much of it failed, in percent."""
    return 100 * load.failed / load.requests if load and load.requests else 0.0


def _worse(loaded: Loaded) -> Load | None:
    """Where the element carried nothing, the load is judged that was worse off."""
    return max((one for one in (loaded.load, loaded.load_elsewhere) if one), key=_share, default=None)
