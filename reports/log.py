"""The ordered log of one scenario: what was done, what was noticed, and which of it ended a stage of the failover.

Pure merging of evidence; it must not know HTML, and measures nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from reports import words
from reports.charts.clock import ACTIONS, lane_of
from reports.charts.stages import TITLES
from reports.evidence.reader import ScenarioEvidence
from reports.evidence.schema import EventRecord, Fault, Stage

NEAR_NS = 1_000_000
"""An event this near to the end of a stage, at the same node, is what ended it."""
STAGE_MARK = "◈"


@dataclass(frozen=True)
class Moment:
    """One line; `t_ns` places it and `acc_ns` says how exactly. `delta` names the stage that it ended, and its length.
    `record` is the event that it tells, if it is one."""

    t_ns: int
    acc_ns: int
    mark: str
    source: str
    node: str
    what: str
    detail: str
    delta: str = ""
    record: EventRecord | None = None

    @property
    def key(self) -> bool:
        """Worth showing before the log is opened."""
        return self.source == "fault" or bool(self.delta)


def read_log(scenario: ScenarioEvidence) -> list[Moment]:
    moments = _faults(scenario) + [
        Moment(
            record.t_ns,
            record.acc_ns,
            lane_of(record)[1],
            record.data.source,
            record.node or "",
            record.data.what,
            _detail(record),
            record=record,
        )
        for record in scenario.events
    ]
    for stage in scenario.verdict.stages if scenario.verdict else ():
        _mark(moments, stage)
    return sorted(moments, key=lambda moment: moment.t_ns)


def entry_of(log: list[Moment]) -> Callable[[EventRecord], int]:
    """The number of an event's line."""
    numbers = {id(moment.record): n for n, moment in enumerate(log) if moment.record is not None}
    return lambda record: numbers[id(record)]


def lines(log: list[Moment], event_ns: int | None) -> list[list[str]]:
    """When, how exactly, mark and source, node, what, detail, delta: as they are shown."""
    return [
        [
            words.since(moment.t_ns, event_ns, max(moment.acc_ns, 1_000_000)),
            words.plain(round(moment.acc_ns / 1e6, 2)),
            moment.delta,
            f"{moment.mark} {moment.source}",
            moment.node,
            moment.what,
            moment.detail,
        ]
        for moment in log
    ]


def _faults(scenario: ScenarioEvidence) -> list[Moment]:
    return [
        Moment(
            r.t_ns,
            r.acc_ns,
            ACTIONS[r.data.action],
            "fault",
            _elements(r.data),
            f"{r.data.action}{'' if r.data.ok else ' (NOT OK)'}",
            " · ".join(
                part
                for part in (
                    f"{r.data.fault} {r.data.target}",
                    r.data.detail,
                    f"spread {words.plain(r.data.spread_ns / 1e6)} ms" if len(r.data.nodes) > 1 else "",
                )
                if part
            ),
        )
        for r in scenario.faults
    ]


def _elements(fault: Fault) -> str:
    names = [*fault.nodes, *fault.links]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _detail(record: EventRecord) -> str:
    data = record.data
    told = [
        data.detail,
        *(part for part in (data.prefix, data.peer, data.interface) if part and part not in data.detail),
    ]
    return " · ".join(part for part in told if part)


def _mark(moments: list[Moment], stage: Stage) -> None:
    """Name the stage beside the event that ended it; where the log has no such event, as a line of its own."""
    length = words.to_accuracy((stage.end_ns - stage.start_ns) / 1e6, stage.acc_ns / 1e6)
    delta = f"{TITLES[stage.name]} +{length} ms"
    near = [
        n
        for n, moment in enumerate(moments)
        if moment.record is not None
        and not moment.delta
        and moment.node == (stage.node or "")
        and abs(moment.t_ns - stage.end_ns) <= max(NEAR_NS, stage.acc_ns)
    ]
    if near:
        best = min(near, key=lambda n: abs(moments[n].t_ns - stage.end_ns))
        moments[best] = dataclasses.replace(moments[best], delta=delta)
    else:
        moments.append(
            Moment(stage.end_ns, stage.acc_ns, STAGE_MARK, "stage", stage.node or "", stage.name, stage.detail, delta)
        )
