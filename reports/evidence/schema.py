"""What a run leaves behind: one typed record per line of `evidence.jsonl`, and the JSON Schema made from these types.

Everything that is told is rendered from these records alone; these modules know no lab, no probe, no oracle and no page.
This one has the envelope of a line; what a line tells is typed in a file per subject beside it, and can be had from here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from reports.evidence.clients import BrokenBy, Connection, Load, Percentiles
from reports.evidence.died import Died, DropSource, WhereDied
from reports.evidence.flows import (
    ANSWERED,
    CORRUPT,
    LATE,
    LOST,
    NOT_A_BACKEND,
    NOT_SENT,
    REFUSED,
    RESET,
    AnswerTimes,
    Episode,
    Flow,
    Flows,
    Near,
    Packet,
    Transport,
    unpack_per_flow,
)
from reports.evidence.hops import HopPart, Hops, HopsCost
from reports.evidence.packing import pack_i64, pack_u8, unpack_i64, unpack_u8
from reports.evidence.runs import Cpu, Host, Run, Topology, TopologyLink, TopologyNode, TopologyService, VerdictWord
from reports.evidence.steps import Event, Fault, Phase, PhaseName
from reports.evidence.verdicts import (
    BlackHole,
    Convergence,
    Impaired,
    Judgement,
    LimitUnit,
    Moment,
    NewConnections,
    NewRequests,
    Path,
    Reversion,
    Span,
    Stage,
    StageName,
    Trust,
    VantageFigures,
    Verdict,
)

__all__ = [
    "ANSWERED",
    "CORRUPT",
    "LATE",
    "LOST",
    "NOT_A_BACKEND",
    "NOT_SENT",
    "RECORD_OF",
    "REFUSED",
    "RESET",
    "VERSION",
    "AnswerTimes",
    "BlackHole",
    "BrokenBy",
    "Connection",
    "ConnectionRecord",
    "Convergence",
    "Cpu",
    "Data",
    "Died",
    "DropSource",
    "Envelope",
    "Episode",
    "EpisodeRecord",
    "Event",
    "EventRecord",
    "Fault",
    "FaultRecord",
    "Flow",
    "Flows",
    "FlowsRecord",
    "HopPart",
    "Hops",
    "HopsCost",
    "Host",
    "Impaired",
    "Judgement",
    "LimitUnit",
    "Load",
    "LoadRecord",
    "Moment",
    "Near",
    "NewConnections",
    "NewRequests",
    "Packet",
    "Path",
    "Percentiles",
    "Phase",
    "PhaseName",
    "PhaseRecord",
    "Record",
    "Reversion",
    "Run",
    "RunRecord",
    "Span",
    "Stage",
    "StageName",
    "Topology",
    "TopologyLink",
    "TopologyNode",
    "TopologyRecord",
    "TopologyService",
    "Transport",
    "Trust",
    "TrustRecord",
    "VantageFigures",
    "Verdict",
    "VerdictRecord",
    "VerdictWord",
    "WhereDied",
    "json_schema",
    "pack_i64",
    "pack_u8",
    "record",
    "unpack_i64",
    "unpack_per_flow",
    "unpack_u8",
]

VERSION = 1
"""Raised when a reader of the old version could misread a new line; adding an optional field does not raise it."""

Data = Run | Topology | Phase | Fault | Event | Flows | Connection | Load | Trust | Episode | Verdict


class Envelope(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every line carries: when (CLOCK_MONOTONIC, and how exactly), and for which scenario and node."""

    t_ns: int
    v: int = VERSION
    acc_ns: int = 0
    scenario: str | None = None
    node: str | None = None

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)


class RunRecord(Envelope, frozen=True, kw_only=True, tag="run"):
    data: Run


class TopologyRecord(Envelope, frozen=True, kw_only=True, tag="topology"):
    data: Topology


class PhaseRecord(Envelope, frozen=True, kw_only=True, tag="phase"):
    data: Phase


class FaultRecord(Envelope, frozen=True, kw_only=True, tag="fault"):
    data: Fault


class EventRecord(Envelope, frozen=True, kw_only=True, tag="event"):
    data: Event


class FlowsRecord(Envelope, frozen=True, kw_only=True, tag="flows"):
    data: Flows


class ConnectionRecord(Envelope, frozen=True, kw_only=True, tag="connection"):
    data: Connection


class LoadRecord(Envelope, frozen=True, kw_only=True, tag="load"):
    data: Load


class TrustRecord(Envelope, frozen=True, kw_only=True, tag="trust"):
    data: Trust


class EpisodeRecord(Envelope, frozen=True, kw_only=True, tag="episode"):
    data: Episode


class VerdictRecord(Envelope, frozen=True, kw_only=True, tag="verdict"):
    data: Verdict


Record = (
    RunRecord
    | TopologyRecord
    | PhaseRecord
    | FaultRecord
    | EventRecord
    | FlowsRecord
    | ConnectionRecord
    | LoadRecord
    | TrustRecord
    | EpisodeRecord
    | VerdictRecord
)

RECORD_OF: dict[type, type[Any]] = {
    Run: RunRecord,
    Topology: TopologyRecord,
    Phase: PhaseRecord,
    Fault: FaultRecord,
    Event: EventRecord,
    Flows: FlowsRecord,
    Connection: ConnectionRecord,
    Load: LoadRecord,
    Trust: TrustRecord,
    Episode: EpisodeRecord,
    Verdict: VerdictRecord,
}


def record(data: Data, *, t_ns: int, acc_ns: int = 0, scenario: str | None = None, node: str | None = None) -> Record:
    """Put one datum into its envelope."""
    made: Record = RECORD_OF[type(data)](data=data, t_ns=t_ns, acc_ns=acc_ns, scenario=scenario, node=node)
    return made


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line of evidence, made from the types above."""
    return msgspec.json.schema(Record)
