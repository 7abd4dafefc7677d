"""Whether the instrument can be believed: one check per way in which it can lie, each with its figure and its limit.

Pure: it knows readings, not processes, and says nothing of what the network under test did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

HEARTBEAT_LIMIT_NS = 1_000_000_000
"""A measuring process that has not gone round its loop (every 100 ms) for this long is stopped."""

MISSING_STAMPS_LIMIT = 0.01
"""Share of answered probes without a kernel stamp of sending, above which lateness is no longer the kernel's word."""

MOST_LAG_NS = 1_000_000_000
"""By how much the process that keeps connections may be late at most, however seldom they beat."""

LATE_SHARE = 0.5
"""The share of its limit from which lateness (p99) is a sign that CPUs are short."""


LAB_LATE_LIMIT_NS = 20_000_000
"""By how late an ordinary process among the lab's may get its work done (p99), which waits for its turn among those of all nodes.
Budgets are judged to tens of milliseconds; a check that is given up after a tenth of a second is made of a handful of turns."""

STALL_LIMIT_NS = 50_000_000
"""By how much a prober may come too late once, from the event on. A probe due while packets are lost, and sent only when they are
not any more, is answered: an outage is measured shorter than it was by as much, and a hundredth of the probes need not notice."""

LAB_STALL_LIMIT_NS = 50_000_000
"""By how late it may be once, from the event on: one such wait of a router is a good part of a budget."""

UNDER_WAY_LIMIT = 5
"""Intervals: how much longer than usual a lost probe may have waited for its answer when the event came. What waits longer waits
for somebody in the lab who does not run, and how much of its loss is the fault's nobody knows."""

LATE_ANSWER_LIMIT_NS = 300_000_000
"""How much slower than usual an answer may be on a way that the fault did not touch. A network loses what it cannot carry; an answer
that comes so late waited for a process of the lab that did not run, and a router may have waited like it."""

STARVED = frozenset(
    (
        "lateness",
        "stall",
        "lab-lateness",
        "lab-stall",
        "lab-bfd",
        "under-way",
        "late-answers",
        "harness-loss",
        "connector-lag",
        "requester-lateness",
        "requester-stall",
        "requester-loss",
    )
)
"""Checks that fail where the instrument or the lab gets too little CPU."""


@dataclass(frozen=True, slots=True)
class ProberReading:
    """One vantage's prober over the time that was judged. Lateness is None if nothing was sent.

    `stall_ns`: by how long it came too late to send a probe at most, from the event on.
    """

    vantage: str
    alive: bool
    heartbeat_age_ns: int
    interval_ns: int
    lateness_p99_ns: int | None
    lateness_max_ns: int | None
    stall_ns: int
    answered: int
    not_sent: int
    socket_drops: int
    missing_stamps: int
    clock_step_ns: int


@dataclass(frozen=True, slots=True)
class ConnectionsReading:
    """One vantage's connecting process over the time that was judged. `interval_ns` is between two heartbeats."""

    vantage: str
    alive: bool
    heartbeat_age_ns: int
    max_lag_ns: int
    interval_ns: int


@dataclass(frozen=True, slots=True)
class WakeupsReading:
    """How late an ordinary process among the lab's was served from the event on, and at most; None if it never was. `before_p99_ns`:
    before the event, where it says only what loss at rest may have come from."""

    alive: bool
    lateness_p99_ns: int | None
    stall_ns: int | None
    before_p99_ns: int = 0


@dataclass(frozen=True, slots=True)
class TrustInput:
    """All that trust depends on. None: the scenario has no such thing, and there is no check of it.

    `control_lost`, `control_broken`: samples lost and connections broken in the control window, without any fault;
    `control_longest_ns`: the longest stretch of that loss. `requesters`: what sends new requests.
    `under_way_ns`: by how much a lost probe had waited longer at the event than answers of its flow usually take, at most.
    `late_answer_ns`: by how much the slowest answer of an untouched flow was slower than usual. `silenced`: BFD sessions, by name,
    that heard nothing for their detection time though nobody broke anything at either end or between them.
    """

    probers: tuple[ProberReading, ...]
    connections: tuple[ConnectionsReading, ...]
    control_lost: int
    control_broken: int
    wakeups: WakeupsReading | None = None
    under_way_ns: int | None = None
    late_answer_ns: int | None = None
    requesters: tuple[ProberReading, ...] = ()
    control_longest_ns: int = 0
    silenced: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TrustCheck:
    """One way to lie, and whether it was kept out. `sentence` says it whole, with figures, for people."""

    check: str
    ok: bool
    value: float | None
    limit: float | None
    unit: str
    sentence: str


def check_trust(given: TrustInput) -> tuple[TrustCheck, ...]:
    """Every check, in the order in which a reader would ask. The verdict is unknown unless all are ok."""
    found: list[TrustCheck | None] = [
        _running("prober", given.probers),
        _lateness("lateness", "Probes", given.probers),
        _stall("stall", "prober", given.probers),
        *(_of_the_lab(given.wakeups) if given.wakeups else ()),
        _silenced(given.silenced),
        _count("harness-loss", given.probers, lambda p: p.not_sent, "probes", "not sent by the harness itself"),
        _count(
            "socket-drops", given.probers, lambda p: p.socket_drops, "answers", "dropped by the prober's own sockets"
        ),
        _stamps(given.probers),
        _clock(given.probers),
        _running("connector", given.connections) if given.connections else None,
        _lag(given.connections) if given.connections else None,
        *(_of_requesters(given.requesters) if given.requesters else ()),
        _none("control-loss", given.control_lost, "probes or requests", "lost in the control window, before any fault"),
        _none("control-broken", given.control_broken, "connections", "broken in the control window, before any fault"),
        _under_way(given),
        _late_answers(given.late_answer_ns),
    ]
    return tuple(check for check in found if check is not None)


def trusted(checks: Sequence[TrustCheck]) -> bool:
    """Whether every check is ok. No checks at all is no reason to trust."""
    return bool(checks) and all(c.ok for c in checks)


def short_of_cpu(checks: Sequence[TrustCheck]) -> bool:
    """Whether something shows that CPUs were short: a check that fails where they are, or a lateness on its way to its limit."""
    late = any(c.check.endswith("lateness") and c.value and c.limit and c.value > LATE_SHARE * c.limit for c in checks)
    return late or any(not c.ok and c.check in STARVED for c in checks)


def starved_at_rest(given: TrustInput) -> bool:
    """Whether CPUs were short before the event: nothing that is judged from it on, and yet where loss at rest may have come from."""
    return given.wakeups is not None and given.wakeups.before_p99_ns > LATE_SHARE * LAB_LATE_LIMIT_NS


def _running(check: str, readings: Sequence[ProberReading | ConnectionsReading]) -> TrustCheck:
    limit = HEARTBEAT_LIMIT_NS / 1e6
    if not readings:
        return TrustCheck(check, False, None, limit, "ms", f"No {check} was running.")
    dead = [r.vantage for r in readings if not r.alive]
    if dead:
        return TrustCheck(check, False, None, limit, "ms", f"The {check} of {', '.join(dead)} has ended.")
    worst = max(readings, key=lambda r: r.heartbeat_age_ns)
    age = worst.heartbeat_age_ns / 1e6
    if worst.heartbeat_age_ns > HEARTBEAT_LIMIT_NS:
        return TrustCheck(
            check,
            False,
            age,
            limit,
            "ms",
            f"The {check} of {worst.vantage} has not moved for {age:.0f} ms; it is stopped.",
        )
    return TrustCheck(
        check, True, age, limit, "ms", f"Every {check} was running (last sign of life {age:.0f} ms before)."
    )


def _lateness(check: str, what: str, probers: Sequence[ProberReading]) -> TrustCheck:
    silent = [p.vantage for p in probers if p.lateness_p99_ns is None]
    if silent or not probers:
        who = ", ".join(silent) or "any vantage"
        return TrustCheck(check, False, None, None, "ms", f"Nothing was sent from {who}, so nothing is known.")
    # each against its own interval: what is late for one rate is not for another
    worst = max(probers, key=lambda p: (p.lateness_p99_ns or 0) / p.interval_ns)
    p99, limit = (worst.lateness_p99_ns or 0) / 1e6, worst.interval_ns / 1e6
    most = max(p.lateness_max_ns or 0 for p in probers) / 1e6
    ok = p99 <= limit
    sentence = (
        f"{what} left {'on time' if ok else 'too late'}: p99 {p99:.3g} ms late ({worst.vantage}), "
        f"at most {most:.3g} ms; the interval is {limit:g} ms."
    )
    return TrustCheck(check, ok, p99, limit, "ms", sentence)


def _stall(check: str, who: str, probers: Sequence[ProberReading]) -> TrustCheck | None:
    worst = max(probers, key=lambda p: p.stall_ns, default=None)
    if worst is None:
        return None
    stall, limit = worst.stall_ns / 1e6, STALL_LIMIT_NS / 1e6
    ok = worst.stall_ns <= STALL_LIMIT_NS
    sentence = (
        f"No {who} came too late to send: from the event on by {stall:.3g} ms at most; limit {limit:g} ms."
        if ok
        else f"The {who} of {worst.vantage} did not run for {stall:.3g} ms (limit {limit:g} ms): "
        "an outage that ended meanwhile was measured too short."
    )
    return TrustCheck(check, ok, stall, limit, "ms", sentence)


def _count(
    check: str, probers: Sequence[ProberReading], count: Callable[[ProberReading], int], unit: str, what: str
) -> TrustCheck:
    total = sum(count(p) for p in probers)
    where = ", ".join(f"{count(p)} at {p.vantage}" for p in probers if count(p))
    sentence = f"{total} {unit} were {what}: {where}." if total else f"No {unit} were {what}."
    return TrustCheck(check, total == 0, total, 0, unit, sentence)


def _stamps(probers: Sequence[ProberReading]) -> TrustCheck:
    missing, answered = sum(p.missing_stamps for p in probers), sum(p.answered for p in probers)
    share = missing / answered if answered else 0.0
    return TrustCheck(
        "stamps",
        share <= MISSING_STAMPS_LIMIT,
        round(100 * share, 3),
        100 * MISSING_STAMPS_LIMIT,
        "%",
        f"{missing} of {answered} answered probes lack the kernel's stamp of when they left.",
    )


def _clock(probers: Sequence[ProberReading]) -> TrustCheck:
    step = max((p.clock_step_ns for p in probers), default=0) / 1e6
    limit = min((p.interval_ns for p in probers), default=0) / 10 / 1e6
    ok = step <= limit
    sentence = (
        f"The wall clock kept step with the monotonic one (within {step:.3g} ms)."
        if ok
        else f"The wall clock stepped by {step:.3g} ms; kernel stamps around it are off by as much."
    )
    return TrustCheck("clock", ok, step, limit, "ms", sentence)


def _lag(connections: Sequence[ConnectionsReading]) -> TrustCheck:
    worst = max(connections, key=lambda c: c.max_lag_ns / lag_limit_ns(c))
    lag, limit = worst.max_lag_ns / 1e6, lag_limit_ns(worst) / 1e6
    sentence = (
        f"Connections were served within {lag:.3g} ms of when they should be ({worst.vantage}); limit {limit:g} ms."
    )
    return TrustCheck("connector-lag", lag <= limit, lag, limit, "ms", sentence)


def lag_limit_ns(connections: ConnectionsReading) -> int:
    """A heartbeat's interval; of many connections, which beat less often, no more than a second: a stall is one of two."""
    return min(connections.interval_ns, MOST_LAG_NS)


def _none(check: str, count: int, unit: str, what: str) -> TrustCheck:
    return TrustCheck(check, count == 0, count, 0, unit, f"{count or 'No'} {unit} were {what}.")


def _of_requesters(requesters: Sequence[ProberReading]) -> Iterator[TrustCheck | None]:
    yield _running("requester", requesters)
    yield _lateness("requester-lateness", "Requests", requesters)
    yield _stall("requester-stall", "requester", requesters)
    yield _count("requester-loss", requesters, lambda p: p.not_sent, "requests", "not sent by the harness itself")


def _of_the_lab(reading: WakeupsReading) -> tuple[TrustCheck, ...]:
    known = reading.lateness_p99_ns is not None and reading.stall_ns is not None
    running = "What watches from among the lab's processes whether they get their CPU"
    watched = TrustCheck(
        "lab-watch",
        reading.alive and known,
        None,
        None,
        "",
        f"{running} was there." if reading.alive and known else f"{running} has ended.",
    )
    if not watched.ok:
        return (watched,)
    return (
        watched,
        _woken("lab-lateness", reading.lateness_p99_ns or 0, LAB_LATE_LIMIT_NS, "from the event on p99"),
        _woken("lab-stall", reading.stall_ns or 0, LAB_STALL_LIMIT_NS, "from the event on at most"),
    )


def _woken(check: str, late_ns: int, limit_ns: int, which: str) -> TrustCheck:
    late, limit, ok = late_ns / 1e6, limit_ns / 1e6, late_ns <= limit_ns
    word = "in time" if ok else "too late"
    sentence = f"An ordinary process among the lab's was served {word}: {which} {late:.3g} ms late; limit {limit:g} ms."
    return TrustCheck(check, ok, late, limit, "ms", sentence)


def _silenced(sessions: Sequence[str] | None) -> TrustCheck | None:
    if sessions is None:
        return None
    sentence = "BFD sessions that the fault did not touch stayed up."
    if sessions:
        more = f" and {len(sessions) - 1} more" if len(sessions) > 1 else ""
        sentence = (
            f"BFD of {sessions[0]}{more} heard nothing for its detection time, though the fault did not touch it: somebody in the "
            "lab did not run."
        )
    return TrustCheck("lab-bfd", not sessions, len(sessions), 0, "sessions", sentence)


def _under_way(given: TrustInput) -> TrustCheck | None:
    if given.under_way_ns is None:
        return None
    limit = UNDER_WAY_LIMIT * min((p.interval_ns for p in given.probers), default=0) / 1e6
    waited = given.under_way_ns / 1e6
    ok = waited <= limit
    sentence = (
        f"Lost probes that were on their way when the fault came had waited {'no' if ok else 'much'} longer than usual "
        f"(by {waited:.3g} ms at most; limit {limit:g} ms)."
    )
    return TrustCheck("under-way", ok, waited, limit, "ms", sentence)


def _late_answers(late_ns: int | None) -> TrustCheck | None:
    if late_ns is None:
        return None
    late, limit, ok = late_ns / 1e6, LATE_ANSWER_LIMIT_NS / 1e6, late_ns <= LATE_ANSWER_LIMIT_NS
    where = "On ways that the fault did not touch"
    sentence = (
        f"{where} answers came as usual (at most {late:.3g} ms slower; limit {limit:g} ms)."
        if ok
        else f"{where} answers were up to {late:.3g} ms slower than usual (limit {limit:g} ms): somebody in the lab did not run."
    )
    return TrustCheck("late-answers", ok, late, limit, "ms", sentence)
