"""Records of what was concluded: checks of the instrument, figures held against budgets, and the verdict."""

from __future__ import annotations

from typing import Literal

import msgspec

from reports.evidence.clients import Percentiles
from reports.evidence.died import WhereDied
from reports.evidence.hops import Hops, HopsCost
from reports.evidence.runs import VerdictWord

Moment = Literal["before", "during", "after"]
LimitUnit = Literal["ms", "count", "percent", "own"]
StageName = Literal[
    "detection",
    "hold-timer",
    "restart-timer",
    "advert-interval",
    "health-check",
    "unexplained",
    "withdrawal",
    "fib",
    "first-packet",
]


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    check: str
    ok: bool
    sentence: str
    unit: str = ""
    value: float | None = None
    limit: float | None = None


class Impaired(msgspec.Struct, frozen=True):
    """Probes that were answered and impaired all the same (RFC 6412). Late and corrupt ones count as lost as well; a duplicate or
    reordered one may be anything else."""

    late: int = 0
    corrupt: int = 0
    duplicate: int = 0
    reordered: int = 0


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A time in ms, the longest of `flows` flows, between `low_ms` and `high_ms` by its method's accuracy; without a `high_ms` it
    never ended while it was looked at."""

    ms: float
    low_ms: float
    flows: int
    high_ms: float | None = None


class BlackHole(msgspec.Struct, frozen=True, kw_only=True):
    """In ms, over touched flows. `p99` is null under 100 of them; `censored` counts flows that never came back."""

    max: float | None = None
    p99: float | None = None
    censored: int = 0


class Reversion(msgspec.Struct, frozen=True):
    """What the heal itself cost. `time`: from the heal until flows were back on a path of their own choice, the Route-Specific
    Convergence Time of the heal (RFC 6412, equation 5); null where no answer tells one path from another."""

    lost: int = 0
    broken: int = 0
    impaired: Impaired | None = None
    time: Span | None = None
    died: WhereDied | None = None


class VantageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one vantage; the times are null where no flow was touched. `impaired` is of all its flows from the event to the
    heal, `p99_upper_ms` the 95 % upper bound of the percentile, null under 299 touched flows. Of the broken connections `unannounced`
    were closed without notice; `closed` were closed as the protocol provides, which breaks nothing."""

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
    p99_upper_ms: float | None = None
    impaired: Impaired | None = None
    unannounced: int = 0
    request_fail_ms: float | None = None


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


class NewRequests(msgspec.Struct, frozen=True, kw_only=True):
    """New requests, by HTTP or in a service's own words, each on a connection of its own, of one vantage to one service and family,
    from the event to the heal.
    `request_fail_ms`: the longest stretch of failed ones; `failed_by` is (outcome, how often), the most frequent first."""

    vantage: str
    service: str
    family: Literal[4, 6]
    touched: bool
    requests: int
    failed: int
    request_fail_ms: float
    ended: bool
    interval_ms: float
    latency: Percentiles
    failed_by: tuple[tuple[str, int], ...] = ()


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a failover: it lasts from the end of the one before (the first: from the event) to `end_ns`, which
    was seen at `node` within `acc_ns`. Detection is by BFD, a lost carrier or a session's end; hold timer (OSPF: dead interval),
    restart timer (routes that outlive their session), VRRP's advert interval and health check are waits that a timer explains;
    `unexplained` is what no event and no timer does."""

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
    """One figure held against its limit. `measured` and `budget` say both in words, `what` which it is.

    `ok` is null where nothing was judged, or nothing can be said: `state` is then null, or unknown for the reason `why`. `figure`, its
    range from `low` to `high` (null: nobody knows how far above) and `limit` are in `unit`; of connections, `among` is how many there
    were, and `limit` null where it is `own`. `part`: the fault, or after the heal. `under`: the budget's name in the contract, empty
    where the limit is a default; `given`: it stands in the contract; `limit_from`: the key whose limit it is, where it is another's.
    `by`: whose figure it is. Evidence from before these were told has no `key`.
    """

    what: str
    measured: str
    budget: str
    ok: bool | None
    key: str = ""
    where: Literal["touched", "elsewhere"] = "touched"
    part: Literal["fault", "after"] = "fault"
    state: Literal["ok", "fail", "unknown"] | None = None
    unit: Literal["ms", "connections", "percent"] = "ms"
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    limit_unit: LimitUnit | None = None
    censored: bool = False
    samples: int | None = None
    among: int | None = None
    use: Literal["busy", "idle", "stream"] | None = None
    under: str = ""
    given: bool = True
    by: str = ""
    why: str = ""
    limit_from: str = ""


class Convergence(msgspec.Struct, frozen=True, kw_only=True):
    """Full Convergence Time by the Rate-Derived Method (RFC 6412, equation 2), in samples of `sampling_ms`; `sustained`: nothing was
    impaired for 5 s and 5 probes of each flow after it."""

    time: Span
    sampling_ms: float
    sustained: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario came to. Besides the black hole (RFC 6412's loss-derived times), where answers tell paths apart and flows were
    touched: `route_convergence` is the longest Route-Specific Convergence Time on the new path (equation 5), `failover` the longest
    time between stamps (RFC 6414, Timestamp-Based Method: an upper bound). `p99_upper_ms`: the 95 % upper bound of the black holes'
    99th percentile, null under 299 touched flows. `died`: every probe lost from the event to the heal, SYNs included, by where and
    why it died. `hops`: where the microseconds went, link by link, where that was asked for. `carried`: traffic crossed the element
    before the fault; `counts`: the verdict counts for the exit code, as what is not promised does not; `planned`, `kills`: traits of
    the fault. `full_convergence_ms` is of evidence from before `convergence` was told, and of no report."""

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
    convergence: Convergence | None = None
    route_convergence: Span | None = None
    failover: Span | None = None
    died: WhereDied | None = None
    hops: tuple[Hops, ...] = ()
    hops_cost: HopsCost | None = None
    p99_upper_ms: float | None = None
    request_fail_ms: float | None = None
    new_requests: tuple[NewRequests, ...] = ()
    carried: bool = True
    counts: bool = True
    planned: bool = False
    kills: bool = False
