"""From readings of the instruments to what each of them makes doubtful, and which rows that concerns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from probes.trust import (
    HEARTBEAT_LIMIT_NS,
    STALL_LIMIT_NS,
    ConnectionsReading,
    ProberReading,
    TrustCheck,
    TrustInput,
    check_trust,
    lag_limit_ns,
    short_of_cpu,
    starved_at_rest,
)
from scenarios.verdict.doubts import About, Doubt, Effect

PROBES: frozenset[About] = frozenset(("probe", "syn"))
REQUESTS: frozenset[About] = frozenset(("request",))
CONNECTIONS: frozenset[About] = frozenset(("connection",))
EVERYTHING: frozenset[About] = frozenset()

_WHAT: dict[str, tuple[Effect, frozenset[About]]] = {
    "prober": ("hides", PROBES),
    "stamps": ("hides", PROBES),
    "stall": ("widens", PROBES),
    "harness-loss": ("hides", PROBES),
    "socket-drops": ("makes", PROBES),
    "clock": ("blurs", PROBES | REQUESTS),
    "requester": ("hides", REQUESTS),
    "requester-stall": ("widens", REQUESTS),
    "requester-loss": ("hides", REQUESTS),
    "connector": ("hides", CONNECTIONS),
    "connector-lag": ("hides", CONNECTIONS),
    "lab-watch": ("blurs", EVERYTHING),
    "lab-lateness": ("makes", EVERYTHING),
    "lab-stall": ("makes", EVERYTHING),
    "lab-bfd": ("makes", EVERYTHING),
    "under-way": ("makes", EVERYTHING),
    "late-answers": ("makes", EVERYTHING),
    "control-loss": ("widens", EVERYTHING),
    "control-broken": ("widens", CONNECTIONS),
    "impairment": ("blurs", EVERYTHING),
}
"""What a failed check does, and to which rows. One that is not here widens what it is about by its own figure: lateness."""

_OF_CPU = frozenset(("lab-lateness", "lab-stall", "late-answers"))
STOOD_STILL_MS = 1000.0
"""A lab that is served late can only lose more than it would have, or the same later. So late, though, the stack's timers may run out
after the quiet that ends a trial, and what they would have cost is not seen."""

_OF_THE_LAB = frozenset(("control-loss", "control-broken"))
"""Loss at rest may be the network's own; it is told, and nothing passes. Beside a sign of short CPUs another try may tell more."""


def doubts_of(given: TrustInput, *, after_heal: bool = False) -> tuple[tuple[TrustCheck, ...], tuple[Doubt, ...]]:
    """The checks of the instruments, and a doubt for each that failed. `after_heal`: the readings are of the time after the heal."""
    checks = check_trust(given)
    short = short_of_cpu(checks) or starved_at_rest(given)
    found = [_doubt(check, given, after_heal=after_heal, short=short) for check in checks if not check.ok]
    return checks, tuple(d for d in found if d is not None)


def doubt_of(check: TrustCheck) -> Doubt:
    """The doubt of a check that belongs to no reading: an impairment that did not do what it was asked."""
    effect, about = _WHAT.get(check.check, ("hides", EVERYTHING))
    return Doubt(check.check, check.sentence, effect, about=about)


def _doubt(check: TrustCheck, given: TrustInput, *, after_heal: bool, short: bool) -> Doubt | None:
    if check.check.endswith("lateness") and not check.check.startswith("lab-"):
        return _late(check, given, after_heal=after_heal)
    effect, about = _WHAT[check.check]
    if check.check in _OF_CPU and (check.value or 0) > STOOD_STILL_MS:
        effect = "blurs"
    resting = check.check in _OF_THE_LAB
    return Doubt(
        check.check,
        check.sentence,
        effect,
        width_ns=_width_ns(check, given),
        count=given.control_broken if check.check == "control-broken" else 0,
        about=about,
        vantages=_vantages(check.check, given),
        after_heal=after_heal,
        no_pass=resting,
        cpu=short if resting else check.check in CPU,
    )


CPU = frozenset(
    (
        "stall",
        "requester-stall",
        "harness-loss",
        "requester-loss",
        "connector-lag",
        "lab-lateness",
        "lab-stall",
        "lab-bfd",
        "under-way",
        "late-answers",
    )
)


def _late(check: TrustCheck, given: TrustInput, *, after_heal: bool) -> Doubt | None:
    """How late samples left widens their figures already (`ordinary_lateness_ns`); where none left at all, what was lost is hidden."""
    readings, about = (given.requesters, REQUESTS) if check.check.startswith("requester") else (given.probers, PROBES)
    silent = frozenset(p.vantage for p in readings if p.lateness_p99_ns is None)
    if readings and not silent:
        return None
    return Doubt(check.check, check.sentence, "hides", about=about, vantages=silent, after_heal=after_heal)


def _width_ns(check: TrustCheck, given: TrustInput) -> int:
    if check.check == "control-loss":
        return given.control_longest_ns
    if check.check in ("stall", "requester-stall"):
        return int((check.value or 0) * 1e6)
    return 0


def _vantages(check: str, given: TrustInput) -> frozenset[str]:
    """Whose samples a doubt is about; empty: everybody's."""
    if check in _OF_PROBERS:
        return frozenset(p.vantage for p in given.probers if _OF_PROBERS[check](p))
    if check in _OF_REQUESTERS:
        return frozenset(p.vantage for p in given.requesters if _OF_REQUESTERS[check](p))
    if check in _OF_CONNECTIONS:
        return frozenset(c.vantage for c in given.connections if _OF_CONNECTIONS[check](c))
    return frozenset()


def _stopped(reading: ProberReading | ConnectionsReading) -> bool:
    return not reading.alive or reading.heartbeat_age_ns > HEARTBEAT_LIMIT_NS


def _stalled(reading: ProberReading) -> bool:
    return reading.stall_ns > STALL_LIMIT_NS


_OF_PROBERS: Mapping[str, Callable[[ProberReading], bool]] = {
    "prober": _stopped,
    "stall": _stalled,
    "harness-loss": lambda p: p.not_sent > 0,
    "socket-drops": lambda p: p.socket_drops > 0,
    "stamps": lambda p: p.missing_stamps > 0,
}
_OF_REQUESTERS: Mapping[str, Callable[[ProberReading], bool]] = {
    "requester": _stopped,
    "requester-stall": _stalled,
    "requester-loss": lambda p: p.not_sent > 0,
}
_OF_CONNECTIONS: Mapping[str, Callable[[ConnectionsReading], bool]] = {
    "connector": _stopped,
    "connector-lag": lambda c: c.max_lag_ns > lag_limit_ns(c),
}
"""Which vantages' readings a failed check is about."""


def ordinary_lateness_ns(readings: Sequence[ProberReading]) -> int:
    """By how much an instrument was late at most without being doubted: what widens a figure that there is. A stall beyond its limit
    is a doubt, which widens it by itself."""
    return max((p.stall_ns for p in readings if p.stall_ns <= STALL_LIMIT_NS), default=0)
