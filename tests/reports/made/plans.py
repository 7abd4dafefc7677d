"""What happened in each scenario of a made-up run: a small table that the other modules here turn into evidence.

It knows names and durations, and nothing of how they are written or drawn.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from reports.evidence.schema import Impaired, StageName, VerdictWord

REGIONS = ("us", "eu", "ap")
VANTAGES = tuple(f"{region}-client" for region in REGIONS)

Happened = tuple[int, str, str, str, str]
"""ms after the fault, source, node, what, detail."""
Step = tuple[StageName, int, str, str]
"""Name, end in ms after the fault, node, detail."""

_L4_DOWN: tuple[Happened, ...] = (
    (151, "bfd", "eu-edge-1", "down", "session to eu-l4-1"),
    (152, "bfd", "eu-edge-2", "down", "session to eu-l4-1"),
    (153, "neighbour", "eu-edge-1", "failed", "10.2.3.1 on eth2"),
    (155, "bgp", "eu-edge-1", "withdraw", "203.0.113.20/32 via eu-l4-1"),
    (171, "bgp", "eu-transit", "update", "best path moves"),
    (188, "fib", "eu-edge-1", "replace", "next hop eu-l4-2"),
    (203, "fib", "eu-edge-2", "replace", "next hop eu-l4-2"),
)
_L4_STEPS: tuple[Step, ...] = (
    ("detection", 151, "eu-edge-1", "BFD 3 × 50 ms"),
    ("withdrawal", 155, "eu-edge-1", "203.0.113.20/32 via eu-l4-1"),
    ("fib", 203, "eu-edge-2", "last next hop replaced"),
    ("first-packet", 206, "eu-l4-2", "first answered probe of a touched flow"),
)


@dataclass(frozen=True)
class Plan:
    """`outage_ms` bounds the outage of touched flows; `hit` is the vantage they are of, `touched` how many of its UDP
    flows of each family they are; `reset`, `stall`, `moved`, `unannounced` and `closed` how its connections ended; `slow_ms` for how
    long its new requests failed beyond the outage, each with a wrong answer."""

    scenario: str
    fault: str
    target: str
    verdict: VerdictWord
    reason: str
    headline: str
    hit: str = "eu-client"
    touched: int = 24
    outage_ms: tuple[int, int] = (0, 0)
    budget_ms: int = 0
    reset: int = 0
    stall: int = 0
    moved: int = 0
    unannounced: int = 0
    closed: int = 0
    slow_ms: int = 0
    stall_ms: float | None = None
    refused: bool = False
    unsent: int = 0
    lateness_ms: float = 1.2
    nodes: tuple[str, ...] = ("eu-l4-1",)
    links: tuple[str, ...] = ()
    stray_losses: int = 0
    events: tuple[Happened, ...] = _L4_DOWN
    stages: tuple[Step, ...] = ()
    seen_paths: bool = True
    impaired: Impaired | None = None

    @property
    def broken(self) -> int:
        return self.reset + self.stall + self.moved + self.unannounced

    @property
    def planned(self) -> bool:
        return self.fault in ("drain", "withdraw")

    @property
    def kills(self) -> bool:
        return self.fault in ("kill-node", "kill-region")


DRAIN_L4 = Plan(
    "drain-l4",
    "drain",
    "eu-l4-1",
    "pass",
    "",
    "Drained eu-l4-1. All 48 flows that crossed it moved without losing a probe (± 10 ms, budget 0 ms); "
    "0 of 40 eu connections broke.",
    events=(
        (12, "l4", "eu-l4-1", "drain", "community 65535:0"),
        (240, "bgp", "eu-edge-1", "update", "best path moves"),
        (262, "fib", "eu-edge-1", "replace", "next hop eu-l4-2"),
    ),
)
WITHDRAW_L4 = Plan(
    "withdraw-l4",
    "withdraw",
    "eu-l4-1",
    "unknown",
    "probes left 12.4 ms late (p99), more than half an interval of 10 ms; the host was starved of CPU",
    "Withdrew eu-l4-1, but the instrument cannot be trusted: its probes left 12.4 ms late (p99, limit 5 ms).",
    unsent=60,
    lateness_ms=12.4,
    seen_paths=False,
)
KILL_L4 = Plan(
    "kill-l4",
    "kill-node",
    "eu-l4-1",
    "fail",
    "black_hole 410 ms is over its budget of 300 ms",
    "Killed eu-l4-1 silently. Clients in eu saw a black hole of 410 ms (± 10 ms, 48 flows), over the budget of "
    "300 ms; 3 of 40 eu connections broke. No other vantage lost a probe.",
    outage_ms=(170, 410),
    budget_ms=300,
    reset=1,
    stall=1,
    moved=1,
    stall_ms=634.0,
    stages=_L4_STEPS,
    impaired=Impaired(late=2, reordered=7),
)
KILL_REGION = Plan(
    "kill-region",
    "kill-region",
    "eu",
    "pass",
    "",
    "Killed region eu. Its clients saw a black hole of 380 ms (± 10 ms, longest of 100 flows; budget 500 ms). "
    "Nothing was lost elsewhere, and 0 of 80 connections outside eu broke.",
    touched=50,
    outage_ms=(190, 380),
    budget_ms=500,
    reset=40,
    nodes=(
        *("eu-transit", "eu-edge-1", "eu-edge-2", "eu-l4-1", "eu-l4-2", "eu-l7-1", "eu-l7-2"),
        *("eu-app-1", "eu-app-2", "eu-control"),
    ),
    events=(
        (151, "bfd", "us-transit", "down", "session to eu-transit"),
        (153, "bfd", "ap-transit", "down", "session to eu-transit"),
        (160, "bgp", "us-transit", "withdraw", "2001:db8:f::20/128 via eu-transit"),
        (165, "bgp", "ap-transit", "withdraw", "203.0.113.20/32 via eu-transit"),
        (178, "bfd", "eu-client", "down", "session to eu-transit"),
        (186, "fib", "eu-client", "replace", "next hop ap-transit"),
    ),
    stages=(
        ("detection", 178, "eu-client", "BFD 3 × 50 ms"),
        ("withdrawal", 180, "eu-client", "default via eu-transit"),
        ("fib", 186, "eu-client", "next hop ap-transit"),
        ("first-packet", 190, "ap-l4-1", "first answered probe of a touched flow"),
    ),
)

PLANS = (DRAIN_L4, WITHDRAW_L4, KILL_L4, KILL_REGION)
"""Few enough for every test: a pass, an unknown, a fail and a pass that cost something."""

_L7_DOWN: tuple[Happened, ...] = (
    (204, "l4", "eu-l4-1", "unhealthy", "eu-l7-1: 3 checks unanswered"),
    (206, "l4", "eu-l4-2", "unhealthy", "eu-l7-1: 3 checks unanswered"),
    (207, "l4", "eu-l4-1", "table", "swapped, 1 of 2 backends"),
    (209, "l4", "eu-l4-2", "table", "swapped, 1 of 2 backends"),
)
_L7_STEPS: tuple[Step, ...] = (
    ("detection", 206, "eu-l4-2", "3 health checks unanswered"),
    ("fib", 209, "eu-l4-2", "Maglev table swapped"),
    ("first-packet", 212, "eu-l7-2", "first answered probe of a touched flow"),
)
_KILL_L7 = dataclasses.replace(
    KILL_L4,
    scenario="kill-l7",
    target="eu-l7-1",
    verdict="pass",
    reason="",
    headline="Killed eu-l7-1 silently: the 48 flows that ended at it saw a black hole of at most 230 ms (± 10 ms; "
    "budget 500 ms). 20 of 20 connections that ended there broke, and no other.",
    outage_ms=(190, 230),
    budget_ms=500,
    reset=20,
    stall=0,
    moved=0,
    nodes=("eu-l7-1",),
    events=_L7_DOWN,
    stages=_L7_STEPS,
)

DEMO = (
    DRAIN_L4,
    WITHDRAW_L4,
    KILL_L4,
    _KILL_L7,
    dataclasses.replace(
        _KILL_L7,
        scenario="crash-envoy",
        fault="crash-process",
        target="eu-l7-1/envoy",
        headline="Crashed envoy on eu-l7-1: new connections failed for at most 220 ms (budget 500 ms); UDP lost "
        "nothing. 20 of 20 connections that ended there were reset.",
        outage_ms=(0, 0),
        refused=True,
        events=((3, "envoy", "eu-l7-1", "exit", "signal 9"), *_L7_DOWN),
    ),
    dataclasses.replace(
        DRAIN_L4,
        scenario="drain-l7",
        target="eu-l7-1",
        headline="Drained eu-l7-1: nothing was lost, no request failed, and its 20 long-lived connections were closed "
        "by the protocol.",
        closed=20,
        nodes=("eu-l7-1",),
        events=(
            (15, "envoy", "eu-l7-1", "draining", "connection: close"),
            (40, "l4", "eu-l4-1", "table", "swapped, 1 of 2 backends"),
            (42, "l4", "eu-l4-2", "table", "swapped, 1 of 2 backends"),
        ),
    ),
    dataclasses.replace(
        KILL_L4,
        scenario="cut-link",
        fault="cut-link",
        target="eu-transit:eth3–eu-edge-1:eth1",
        verdict="pass",
        reason="",
        headline="Cut the link eu-transit–eu-edge-1 with carrier loss: 48 flows saw a black hole of at most 40 ms "
        "(± 10 ms; budget 100 ms); no connection broke.",
        outage_ms=(20, 40),
        budget_ms=100,
        reset=0,
        stall=0,
        moved=0,
        stall_ms=206.0,
        nodes=(),
        links=("eu-transit:eth3–eu-edge-1:eth1",),
        events=(
            (1, "link", "eu-transit", "down", "eth4, no carrier"),
            (1, "link", "eu-edge-1", "down", "eth1, no carrier"),
            (4, "bgp", "eu-transit", "withdraw", "203.0.113.20/32 via eu-edge-1"),
            (17, "fib", "eu-transit", "replace", "next hop eu-edge-2"),
        ),
        stages=(
            ("detection", 1, "eu-transit", "carrier lost"),
            ("withdrawal", 4, "eu-transit", "203.0.113.20/32 via eu-edge-1"),
            ("fib", 17, "eu-transit", "next hop eu-edge-2"),
            ("first-packet", 19, "eu-edge-2", "first answered probe of a touched flow"),
        ),
    ),
    dataclasses.replace(
        KILL_L4,
        scenario="cut-link-silent",
        fault="cut-link",
        target="eu-transit:eth3–eu-edge-1:eth1",
        verdict="pass",
        reason="",
        headline="Cut the link eu-transit–eu-edge-1 silently: 48 flows saw a black hole of at most 210 ms (± 10 ms; "
        "budget 300 ms); no connection broke.",
        outage_ms=(170, 210),
        reset=0,
        stall=0,
        moved=0,
        stall_ms=428.0,
        nodes=(),
        links=("eu-transit:eth3–eu-edge-1:eth1",),
    ),
    dataclasses.replace(
        KILL_REGION,
        scenario="kill-transit",
        fault="kill-node",
        target="eu-transit",
        headline="Killed eu-transit silently: the 100 flows that crossed it saw a black hole of at most 380 ms (± 10 ms; "
        "budget 500 ms); elsewhere nothing was lost.",
        nodes=("eu-transit",),
        reset=0,
        stall_ms=812.0,
    ),
    KILL_REGION,
    dataclasses.replace(
        DRAIN_L4,
        scenario="drain-transit",
        target="us-transit",
        hit="us-client",
        headline="Drained us-transit. All 48 flows that crossed it moved without losing a probe (± 10 ms, budget 0 ms).",
        nodes=("us-transit",),
        events=((20, "bgp", "us-transit", "update", "community 65535:0"),),
    ),
)
"""A whole demo: eleven scenarios, one of which failed and one of which could not be judged."""
