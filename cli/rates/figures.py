"""What trials of the prober say: whether a rate was sustained, where the CPU went. Pure: it knows neither labs nor processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from cli.figures import Row, row

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """`flows` over all vantages together, each probed every `interval_ns`."""

    flows: int
    interval_ns: int

    @property
    def rate(self) -> int:
        """Probes per second."""
        return self.flows * SECOND_NS // self.interval_ns

    def __str__(self) -> str:
        return f"{self.flows} flows x {SECOND_NS // self.interval_ns}/s"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a load through a lab. CPU in seconds of one core over `seconds`: `probers` the sending processes with the
    forwarding that the kernel does in their place, `lab` all processes of the lab with theirs, `kernel` its own threads for the
    rest of forwarding. A probe is `late` by its kernel stamp; its p99 in ns is None if nothing was sent."""

    load: Load
    seconds: float
    probes: int
    lost: int
    not_sent: int
    own_drops: int
    late_p99_ns: int | None
    probers: float
    lab: float
    kernel: float

    @property
    def cpu(self) -> float:
        """Cores that forwarding, answering and measuring took together."""
        return (self.probers + self.lab + self.kernel) / self.seconds


def fault(trial: Trial) -> str:
    """Empty when the load was sustained; else what limits it: the first that fails of lateness, own losses and losses."""
    if trial.late_p99_ns is None:
        return "nothing was sent"
    if trial.late_p99_ns * 2 >= trial.load.interval_ns:
        return "probes leave late: the prober gets too little CPU"
    if trial.not_sent or trial.own_drops:
        return "the prober loses probes of its own"
    if trial.lost:
        return "the lab loses probes: its processes get too little CPU"
    return ""


def highest(rates: Sequence[int], tried: Callable[[int], str], again: int = 1) -> tuple[int, str]:
    """The highest of ascending rates up to which every one was sustained, 0 if none, and what failed at the next ("" where nothing
    did). `tried` says of a rate what `fault` says; what fails is tried `again` times more, since a busy moment is not a limit."""
    best = 0
    for rate in rates:
        wrong = tried(rate)
        for _ in range(again):
            wrong = wrong and tried(rate)
        if wrong:
            return best, wrong
        best = rate
    return best, ""


def per_probe_us(trial: Trial, idle: float) -> float:
    """Microseconds of CPU for each probe, beyond the `idle` cores that the lab takes by itself."""
    return (trial.cpu - idle) * trial.seconds / trial.probes * 1e6 if trial.probes else 0.0


def rows_of_load(trials: Sequence[Trial]) -> list[list[Row]]:
    """Of each round of one load: lateness, what the harness lost, what was lost at all."""
    return [
        [
            row(f"{t.load}: lateness p99", _ms(t.late_p99_ns), "ms", t.load.interval_ns / 2e6),
            row(f"{t.load}: lost by the harness itself", t.not_sent + t.own_drops, "probes", 0),
            row(f"{t.load}: lost at all", t.lost, "probes", 0),
        ]
        for t in trials
    ]


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


def row_of_highest(found: Sequence[tuple[int, str]], most: int, target: int) -> Row:
    """The highest rate of each round as one row, which says what limits the median one. `most`: none higher was tried."""
    middle = sorted(found)[(len(found) - 1) // 2]
    limit = middle[1] or f"none found up to {most}"
    worst = min(rate for rate, _ in found)
    return Row(
        what=f"highest rate through the lab (limit: {limit})",
        ours=middle[0],
        worst=worst,
        unit="probes/s",
        target=target,
        at_least=True,
        rounds=len(found),
        met=worst >= target,
    )


def rows_of_hops(rounds: Sequence[Sequence[tuple[str, float]]]) -> list[Row]:
    """Rounds of (stage, µs of CPU per probe that dies at its end), in the order of the way: what each adds to the one before."""
    added = [
        [(stage, cost - before) for (stage, cost), before in zip(one, (0.0, *(c for _, c in one)), strict=False)]
        for one in rounds
    ]
    return [
        Row(
            what=f"CPU of a probe: {same[0][0]}",
            ours=round(median(cost for _, cost in same), 2),
            worst=round(max(cost for _, cost in same), 2),
            unit="µs",
            rounds=len(rounds),
        )
        for same in zip(*added, strict=True)
    ]


def spread(total: int, parts: int) -> list[int]:
    """`total` in `parts` as equal as can be."""
    return [total * (n + 1) // parts - total * n // parts for n in range(parts)]


def beside(what: str, ours: Iterable[float], theirs: Iterable[float], peer: str, unit: str, *, more: bool) -> Row:
    """A figure of ours and a peer's as medians; the ratio says how many times better ours is, by `more` or by less."""
    own, other = list(ours), list(theirs)
    mine, peers = median(own) if own else None, median(other) if other else None
    ratio = None
    if mine and peers:
        ratio = round(mine / peers if more else peers / mine, 2)
    return Row(
        what=what,
        ours=None if mine is None else round(mine, 2),
        unit=unit,
        at_least=more,
        rounds=len(own),
        peer=None if peers is None else round(peers, 2),
        peer_name=peer,
        ratio=ratio,
    )
