"""The demo's own figures and what each should reach: pure, from evidence. It must not know how they are run or shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

import msgspec
from msgspec import structs

from probes.watch.order import Placed, order_of
from reports.evidence.again import AT_REST
from reports.evidence.again import first as own_name
from reports.evidence.reader import Evidence, ScenarioEvidence
from reports.evidence.schema import Run, Verdict


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, with or without a target. `ours` is the median over `rounds` rounds, `worst` the one that decides whether the
    target is `met`. `at_least`: more is better. `peer` is null where no peer does the same, or where it is not installed; `ours`,
    `worst` and `met` where nothing was measured."""

    what: str
    ours: float | None
    unit: str
    target: float | None = None
    at_least: bool = False
    worst: float | None = None
    rounds: int = 1
    peer: float | None = None
    peer_name: str | None = None
    ratio: float | None = None
    met: bool | None = None


def row(what: str, ours: float | None, unit: str, target: float, *, at_least: bool = False) -> Row:
    """A figure of one round, which must not be above its target, or not below."""
    return merged([[Row(what=what, ours=ours, unit=unit, target=target, at_least=at_least)]])[0]


def merged(rounds: Iterable[Sequence[Row]]) -> list[Row]:
    """The same figures of several rounds, in the same order in each, as one row each. A round without a figure leaves the
    target neither met nor, if the others met it, missed. Raises ValueError for rounds of different lengths."""
    return [_merged(same) for same in zip(*rounds, strict=True)]


def _merged(same: Sequence[Row]) -> Row:
    first = same[0]
    values = [value for one in same for value in (one.ours, one.worst) if value is not None]
    if not values:
        return structs.replace(first, rounds=len(same))
    worst = min(values) if first.at_least else max(values)
    target = worst if first.target is None else first.target
    met = worst >= target if first.at_least else worst <= target
    partly = any(one.ours is None for one in same)
    return structs.replace(
        first,
        ours=round(median(one.ours for one in same if one.ours is not None), 2),
        worst=round(worst, 2),
        rounds=len(same),
        met=None if first.target is None or (met and partly) else met,
    )


FAILED = "scenarios that failed"
Figure = Callable[[Verdict], float | None]


def _black_hole(v: Verdict) -> float | None:
    return None if v.black_hole_ms.censored else v.black_hole_ms.max


OF_SCENARIOS: tuple[tuple[str, str, Figure, str, float], ...] = (
    ("kill-l7", "black hole", _black_hole, "ms", 500),
    ("kill-l7", "new connections fail for", lambda v: v.new_fail_ms, "ms", 500),
    ("crash-l7", "black hole", _black_hole, "ms", 500),
    ("crash-l7", "new connections fail for", lambda v: v.new_fail_ms, "ms", 500),
    ("drain-l7", "black hole", _black_hole, "ms", 0),
    ("drain-l7", "connections broken", lambda v: v.broken, "connections", 0),
    ("cut-link", "black hole", _black_hole, "ms", 100),
    ("cut-link-silently", "black hole", _black_hole, "ms", 300),
    ("kill-l4", "black hole", _black_hole, "ms", 300),
    ("kill-transit", "black hole", _black_hole, "ms", 500),
    ("kill-transit", "black hole elsewhere", lambda v: v.elsewhere_black_hole_ms, "ms", 0),
    ("kill-region", "black hole", _black_hole, "ms", 500),
    ("kill-region", "black hole elsewhere", lambda v: v.elsewhere_black_hole_ms, "ms", 0),
)


def rows_of(evidence: Evidence) -> list[Row]:
    """The demo's figures from its evidence alone."""
    verdicts = {s.name: s.verdict for s in evidence.scenarios if s.verdict}
    played = [v for name, v in verdicts.items() if own_name(name) != AT_REST]
    end: Run | None = evidence.end
    fewest = min((v.connections for v in played), default=None)
    rows = [
        row("demo, whole", end.wall_s if end else None, "s", 270),
        row("instruments, all together", end.cpu.instrument_cores if end else None, "cores", 0.85),
        row("instruments: new requests", end.cpu.request_cores if end else None, "cores", 0.2),
        row("up, until every service answers everywhere", end.boot_s if end else None, "s", 12),
        row("scenarios", len(played), "scenarios", 10, at_least=True),
        row("connections established, fewest of a scenario", fewest, "connections", 300, at_least=True),
        row("connections broken in control windows", _broken_in_control(evidence), "connections", 0),
        row(FAILED, sum(v.verdict == "fail" for v in verdicts.values()), "scenarios", 0),
        row("scenarios without a verdict", sum(v.verdict == "unknown" for v in verdicts.values()), "scenarios", 0),
        Row(what="scenarios played twice, the first try unknown", ours=_played_twice(evidence), unit="scenarios"),
        *_where_and_when(evidence),
        row("drain-l7: requests of the load that failed", _failed_requests(evidence, "drain-l7"), "requests", 0),
    ]
    for scenario, what, figure, unit, target in OF_SCENARIOS:
        found = verdicts.get(scenario)
        rows.append(row(f"{scenario}: {what}", None if found is None else figure(found), unit, target))
    return rows


def _where_and_when(evidence: Evidence) -> list[Row]:
    """Whether lost probes were found, and causes come before their effects."""
    parts = [
        part for s in evidence.scenarios if s.verdict for part in (s.verdict.died, s.verdict.reversion.died) if part
    ]
    lost, attributed = sum(part.lost for part in parts), sum(part.attributed for part in parts)
    orders = [order_of(_placed(s)) for s in evidence.scenarios]
    wrong = sum(len(order.wrong) for order in orders) if any(order.effects for order in orders) else None
    return [
        row(
            "lost probes attributed to an element and a reason",
            100 * attributed / lost if lost else None,
            "%",
            99,
            at_least=True,
        ),
        row("timeline: effects placed before their causes", wrong, "events", 0),
    ]


def _placed(scenario: ScenarioEvidence) -> list[Placed]:
    """The events of a scenario, what was done to each node among them."""
    events = [
        Placed(
            r.t_ns,
            r.acc_ns,
            r.node or "",
            r.data.source,
            r.data.what,
            r.data.peer,
            r.data.prefix,
            by_protocol=r.data.detail.endswith("by bgp"),
        )
        for r in scenario.events
    ]
    done = [
        Placed(r.t_ns, r.acc_ns, node, "fault", r.data.action)
        for r in scenario.faults
        for node in {*r.data.nodes, *(end.split(":")[0] for link in r.data.links for end in link.split("–"))}
    ]
    return [*events, *done]


def _broken_in_control(evidence: Evidence) -> int | None:
    found = [c.phase == "control" for s in evidence.scenarios for c in s.connections]
    return sum(found) if found else None


def _played_twice(evidence: Evidence) -> int:
    return len({r.scenario for r in evidence.records if r.scenario and own_name(r.scenario) != r.scenario})


def _failed_requests(evidence: Evidence, scenario: str) -> int | None:
    """Of the load from the event to the heal, from all vantages."""
    found = [load for s in evidence.scenarios if s.name == scenario for load in s.loads if load.phase == "fault"]
    return sum(load.failures for load in found) if found else None


def rows_beside_hogs(rounds: Sequence[Evidence]) -> list[Row]:
    """What must hold even on a machine that is too busy to measure on: nobody is called broken who is not."""
    found = [{one.what: one for one in rows_of(evidence)}[FAILED] for evidence in rounds]
    return merged([row(f"{one.what}, beside CPU hogs", one.ours, one.unit, 0)] for one in found)


def exit_code(rows: Iterable[Row]) -> int:
    """1 if a target was missed, else 3 if a figure that has one was not measured in every round, else 0."""
    met = [one.met for one in rows if one.target is not None]
    return 1 if False in met else 3 if None in met else 0


def hog_rounds(rounds: int, hogs: int) -> list[bool]:
    """Which of the rounds have busy neighbours: `hogs` of them, spread evenly, the last among them."""
    return [(n + 1) * hogs // rounds > n * hogs // rounds for n in range(rounds)]


def not_passed(evidence: Evidence) -> list[str]:
    """A line for each scenario that did not pass, with the reason."""
    verdicts = [s.verdict for s in evidence.scenarios if s.verdict]
    return [f"{v.scenario}: {v.verdict}: {v.reason}" for v in verdicts if v.verdict != "pass"]
