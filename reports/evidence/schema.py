"""What a run leaves behind: one typed record per line of `evidence.jsonl`, and the JSON Schema made from these types.

Everything that is told is rendered from these records alone; this module knows no lab, no probe, no oracle and no page.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

VERSION = 1
"""Raised when a reader of the old version could misread a new line; adding an optional field does not raise it."""

NOT_A_BACKEND = 255
"""Value in `Flows.backend` of a probe whose answer named nobody, or that had no answer."""

ANSWERED, LOST, LATE, CORRUPT, NOT_SENT, REFUSED, RESET = range(7)
"""Values in `Flows.state`. LATE is an answer after the Forwarding Delay Threshold (2 s), which RFC 6412 counts as
loss; NOT_SENT is the instrument's own fault and says nothing about the network. REFUSED and RESET are of TCP alone: a
SYN that was answered by RST, or by a RST that does not acknowledge it; a LOST one was met with silence."""

VerdictWord = Literal["pass", "fail", "unknown"]
PhaseName = Literal["steady", "control", "fault", "observation", "heal", "recovery"]
BrokenBy = Literal["reset", "stall", "other-backend", "closed"]
Transport = Literal["udp", "tcp", "icmp"]
Moment = Literal["before", "during", "after"]
StageName = Literal["detection", "withdrawal", "fib", "first-packet"]


class Host(msgspec.Struct, frozen=True):
    cores: int
    kernel: str
    memory_mib: int


class Cpu(msgspec.Struct, frozen=True):
    """Mean number of busy cores over the run; null where it was not measured."""

    lab_cores: float | None = None
    instrument_cores: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    event: Literal["start", "end"]
    run_id: str
    started_utc: str
    argv: tuple[str, ...]
    version: str
    host: Host
    topology: str
    contract: str
    reproduce: str
    commit: str | None = None
    boot_s: float | None = None
    verdict: VerdictWord | None = None
    wall_s: float | None = None
    cpu: Cpu = Cpu()


class TopologyNode(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    role: str | None = None
    region: str | None = None


class TopologyLink(msgspec.Struct, frozen=True, kw_only=True):
    a: str
    a_if: str
    b: str
    b_if: str
    mtu: int


class TopologyService(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    vip: tuple[str, ...]
    port: int
    protocol: str


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    nodes: tuple[TopologyNode, ...]
    links: tuple[TopologyLink, ...]
    services: tuple[TopologyService, ...]
    digest: str


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    name: PhaseName
    start_ns: int
    end_ns: int
    ok: bool
    detail: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One step in a fault's life; the record's `t_ns` is its instant, `spread_ns` how far its nodes were apart."""

    action: Literal["inject", "effective", "heal", "healed"]
    fault: str
    target: str
    nodes: tuple[str, ...]
    spread_ns: int
    ok: bool
    role: str | None = None
    detail: str = ""
    links: tuple[str, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something a node did or noticed, on the run's one clock; the record's `acc_ns` says how exactly it is placed.

    `source` is bfd, bgp, fib, neighbour, link, or the name under which a node hands over its own events (l4, envoy).
    `what` is a short word of that source (down, up, update, withdraw, replace, delete, healthy, unhealthy…).
    """

    source: str
    what: str
    detail: str = ""
    peer: str | None = None
    interface: str | None = None
    prefix: str | None = None


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One probe flow: `count` probes, the first due at `first_due_ns`, each `interval_ns` after the one before. What was due from
    `judged_from_ns` on counts to the fault, a little before the event: it was on its way then. Null: from the event on.
    `way_before` and `way_after` number the block's `ways`: of the control window, and of the time before the heal; null where
    taps saw none."""

    id: int
    src: str
    sport: int
    dst: str
    dport: int
    touched: bool
    first_due_ns: int
    count: int
    judged_from_ns: int | None = None
    way_before: int | None = None
    way_after: int | None = None


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """Every probe of one vantage to one service, of one transport and family. `state` and `backend` are packed by
    `pack_u8`: one byte per probe, flow after flow in the order of `flows`. `event_ns` is the Convergence Event Instant
    (RFC 6412). With `transport` tcp each probe is a SYN from a source port of its own (`sport` is the first one's), so such a
    flow has no single path: it shows whether new connections can be made, never a black hole. `ways` are the nodes that packets
    to the service passed, in order, the vantage first."""

    vantage: str
    service: str
    interval_ns: int
    t0_ns: int
    t1_ns: int
    event_ns: int
    backends: tuple[str, ...]
    flows: tuple[Flow, ...]
    state: str
    backend: str
    transport: Transport = "udp"
    family: Literal[4, 6] = 4
    ways: tuple[tuple[str, ...], ...] = ()


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One long-lived connection. `longest_answer_ms`: the longest that a heartbeat had to wait for its answer in this
    scenario; `closed_ns`: when it was closed as the protocol provides (the other end announced it), which breaks nothing;
    `http` is the version spoken on it, `tls` whether by TLS."""

    vantage: str
    id: int
    src: str
    sport: int
    dst: str
    dport: int
    opened_ns: int
    touched: bool
    heartbeats: int
    backend: str | None = None
    broken_ns: int | None = None
    broken_by: BrokenBy | None = None
    phase: Literal["control", "fault", "recovery"] | None = None
    closed_ns: int | None = None
    longest_answer_ms: float | None = None
    http: Literal["1.1", "2"] = "1.1"
    tls: bool = False


class Percentiles(msgspec.Struct, frozen=True):
    """Response times in ms over `n` requests; null without any (p99 from 100 on)."""

    n: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What Locust did from one vantage in one phase. `raw` is what a closed loop sees; `corrected` counts each request
    from when it was intended to start, so that those that waited behind a stall are in it (coordinated omission).
    `failed_by` is (reason, how often). `paced` is false where intended starts are not known (a user's own locustfile):
    `corrected` is `raw` there. It tells of load and never defines a black hole."""

    vantage: str
    phase: Literal["control", "fault", "recovery"]
    start_ns: int
    end_ns: int
    users: int
    requests: int
    failures: int
    raw: Percentiles
    corrected: Percentiles
    failed_by: tuple[tuple[str, int], ...] = ()
    paced: bool = True


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    check: str
    ok: bool
    sentence: str
    unit: str = ""
    value: float | None = None
    limit: float | None = None


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """One probe near an episode: when it was due, sent and answered (kernel stamps, CLOCK_MONOTONIC; null: none), and the time to
    live (IPv6: hop limit) that its answer came with."""

    seq: int
    due_ns: int
    state: int
    tx_ns: int | None = None
    rx_ns: int | None = None
    backend: str | None = None
    ttl: int | None = None


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One loss period of one flow (RFC 6534); `end_ns` is null and `censored` true when it never ended. `packets` are
    the probes around its two edges, in order of sequence; those in between are all lost."""

    vantage: str
    service: str
    flow: int
    start_ns: int
    lost: int
    black_hole_ns: int
    censored: bool
    touched: bool
    end_ns: int | None = None
    packets: tuple[Packet, ...] = ()


class BlackHole(msgspec.Struct, frozen=True, kw_only=True):
    """In ms, over touched flows. `p99` is null under 100 of them; `censored` counts flows that never came back."""

    max: float | None = None
    p99: float | None = None
    censored: int = 0


class Reversion(msgspec.Struct, frozen=True):
    """What the heal itself cost."""

    lost: int = 0
    broken: int = 0


class VantageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one vantage; the times are null where no flow was touched."""

    vantage: str
    flows: int
    touched: int
    lost: int
    connections: int
    broken: int
    reset: int
    stall: int
    other_backend: int
    censored: int
    min_ms: float | None = None
    median_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    new_fail_ms: float | None = None
    stall_ms: float | None = None
    closed: int = 0


class NewConnections(msgspec.Struct, frozen=True, kw_only=True):
    """SYNs from one vantage to one service and family from the event to the heal. `new_fail_ms`: the longest time for
    which new connections failed, from the first failed attempt to the last one's end; `accept` is the time to accept."""

    vantage: str
    service: str
    family: Literal[4, 6]
    attempts: int
    accepted: int
    refused: int
    reset: int
    silent: int
    new_fail_ms: float
    censored: bool
    accept: Percentiles


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a failover: it lasts from the end of the one before (the first: from the event) to `end_ns`, which
    was seen at `node` within `acc_ns`."""

    name: StageName
    start_ns: int
    end_ns: int
    acc_ns: int
    node: str | None = None
    detail: str = ""


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """How many probe flows of a vantage went from node `a` to node `b` at a moment, as taps saw them."""

    moment: Moment
    vantage: str
    a: str
    b: str
    flows: int


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One figure held against its budget; `ok` is null when the contract gives none (measured, not judged)."""

    what: str
    measured: str
    budget: str
    ok: bool | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    scenario: str
    title: str
    fault: str
    target: str
    element: str
    verdict: VerdictWord
    reason: str
    headline: str
    interval_ms: float
    flows: int
    touched: int
    connections: int
    broken: int
    vantages: tuple[VantageFigures, ...]
    judged: tuple[Judgement, ...]
    reproduce: str
    lateness_p99_ms: float | None = None
    black_hole_ms: BlackHole = BlackHole()
    elsewhere_black_hole_ms: float | None = None
    new_fail_ms: float | None = None
    recover_ms: float | None = None
    full_convergence_ms: float | None = None
    reversion: Reversion = Reversion()
    new_connections: tuple[NewConnections, ...] = ()
    stages: tuple[Stage, ...] = ()
    paths: tuple[Path, ...] = ()


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


def pack_u8(values: bytes | Iterable[int]) -> str:
    """One byte per value, deflated, base64: 150 flows of 3,000 quiet probes become about a kilobyte."""
    return base64.b64encode(zlib.compress(bytes(values), 6)).decode("ascii")


def unpack_u8(packed: str) -> bytes:
    """The inverse of `pack_u8`.

    Raises ValueError when the text is not what `pack_u8` wrote.
    """
    try:
        return zlib.decompress(base64.b64decode(packed, validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not a packed block: {error}") from error


def unpack_per_flow(block: Flows) -> list[bytes]:
    """The probe states of a block, one byte string per flow in order.

    Raises ValueError when the block does not hold exactly the probes that its flows announce.
    """
    state = unpack_u8(block.state)
    announced = sum(flow.count for flow in block.flows)
    if len(state) != announced:
        raise ValueError(
            f"flows of {block.vantage} to {block.service}: {len(state)} states for {announced} announced probes"
        )
    split: list[bytes] = []
    at = 0
    for flow in block.flows:
        split.append(state[at : at + flow.count])
        at += flow.count
    return split
