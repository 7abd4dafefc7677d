"""Records of a whole run: how it was started and ended, on what, and the topology that was deployed."""

from __future__ import annotations

from typing import Literal

import msgspec

from reports.evidence.calibration import Calibration

VerdictWord = Literal["pass", "fail", "unknown"]


class Host(msgspec.Struct, frozen=True):
    cores: int
    kernel: str
    memory_mib: int


class Cpu(msgspec.Struct, frozen=True):
    """Mean number of busy cores over the run; null where it was not measured. `request_cores`: of the instrument's, those of who makes
    new requests."""

    lab_cores: float | None = None
    instrument_cores: float | None = None
    request_cores: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`calibration` is null where the instrument was never calibrated on this host. `services`: of each a sentence, what is
    judged of it and what is not, as it was told before anything was broken."""

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
    calibration: Calibration | None = None
    services: tuple[str, ...] = ()


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
