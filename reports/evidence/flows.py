"""Records of probes: what became of each one, flow by flow, and the episodes of loss among them."""

from __future__ import annotations

from typing import Literal

import msgspec

from reports.evidence.died import Died
from reports.evidence.packing import unpack_u8

NOT_A_BACKEND = 255
"""Value in `Flows.backend` of a probe whose answer named nobody, or that had no answer."""

ANSWERED, LOST, LATE, CORRUPT, NOT_SENT, REFUSED, RESET = range(7)
"""Values in `Flows.state`. LATE is an answer after the Forwarding Delay Threshold (2 s), which RFC 6412 counts as
loss; NOT_SENT is the instrument's own fault and says nothing about the network. REFUSED and RESET are of TCP alone: a
SYN that was answered by RST, or by a RST that does not acknowledge it; a LOST one was met with silence."""

Transport = Literal["udp", "tcp", "icmp", "http", "request"]


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


class AnswerTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long answers took (TCP: to accept) to the probes of one block that were due in one phase: from the event to the heal is
    `fault`. `histogram` is packed by `pack_histogram`, in ns; what was never answered is not in it."""

    phase: Literal["control", "fault", "recovery"]
    histogram: str


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """Stamps of every probe of a block that was due within `within_ns` of an episode or in it; `unpack_near` gives them back. The
    block says when each was due, what became of it and who answered. `runs` are flow (its place in the block), first probe and how
    many; the others a column each over all runs: when it was sent after it was due, when it was answered after it was sent (or due),
    the answer's time to live. Times are rounded to `unit_ns`."""

    within_ns: int
    unit_ns: int
    runs: str
    tx: str
    rx: str
    ttl: str


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """Every probe of one vantage to one service, of one transport and family. `state` and `backend` are packed by
    `pack_u8`: one byte per probe, flow after flow in the order of `flows`. `event_ns` is the Convergence Event Instant
    (RFC 6412). With `transport` tcp each probe is a SYN from a source port of its own (`sport` is the first one's), so such a
    flow has no single path: it shows whether new connections can be made, never a black hole. With `http` each is a whole request on a
    connection of its own, with `request` one in the words of a service that speaks no HTTP; CORRUPT is then a wrong answer. `ways`
    are the nodes that packets to the service passed, in order, the vantage first. `near` are the stamps of probes near an episode,
    `answers` how long all of them took."""

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
    near: Near | None = None
    answers: tuple[AnswerTimes, ...] = ()


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
    the probes around its two edges, in order of sequence; those in between are all lost. `died`: where they died; empty in evidence
    of before that was told."""

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
    died: tuple[Died, ...] = ()


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
