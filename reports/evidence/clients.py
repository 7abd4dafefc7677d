"""Records of what clients beside the probes saw: long-lived connections, and load."""

from __future__ import annotations

from typing import Literal

import msgspec

BrokenBy = Literal["reset", "stall", "other-backend", "closed"]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One long-lived connection. `longest_answer_ms`: the longest that a heartbeat had to wait for its answer in this
    scenario; `closed_ns`: when it was closed as the protocol provides (the other end announced it), which breaks nothing;
    `http` is the version spoken on it, `tls` whether by TLS, `use` how it is held: asked every now and then, idle, or one answer
    without end."""

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
    use: Literal["busy", "idle", "stream"] = "busy"


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
