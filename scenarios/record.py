"""Turns what a scenario measured into evidence records. It decides nothing."""

from __future__ import annotations

import numpy as np

from probes.trust import TrustCheck
from reports.evidence import schema
from reports.evidence.writer import EvidenceWriter
from scenarios.measured import Clock, Measured, by_service
from topologies.oci.wire import Flow

TCP, UDP = 6, 17


def crossed(seen: set[Flow], src: str, sport: int, dst: str, dport: int, protocol: int) -> bool:
    """Whether a 5-tuple, or its answers, were among the tapped flows."""
    flow = Flow(src, sport, dst, dport, protocol)
    return flow in seen or flow.reversed() in seen


def write_flows(
    writer: EvidenceWriter, scenario: str, measured: Measured, clock: Clock, backends: dict[str, tuple[str, ...]]
) -> None:
    """A packed block per vantage and service, and every episode."""
    for (vantage, service), flows in by_service(measured.flows).items():
        writer.write(
            schema.Flows(
                vantage=vantage,
                service=service,
                interval_ns=measured.interval_ns,
                t0_ns=clock.control_ns,
                t1_ns=clock.end_ns,
                event_ns=clock.event_ns,
                backends=backends[vantage],
                flows=tuple(
                    schema.Flow(
                        id=f.trace.flow.id,
                        src=f.trace.flow.src,
                        sport=f.trace.flow.sport,
                        dst=f.trace.flow.dst,
                        dport=f.trace.flow.dport,
                        touched=f.touched,
                        first_due_ns=int(f.trace.due[0]),
                        count=len(f.trace.due),
                    )
                    for f in flows
                ),
                state=schema.pack_u8(np.concatenate([f.trace.state for f in flows]).astype(np.uint8).tobytes()),
                backend=schema.pack_u8(np.concatenate([f.trace.backend for f in flows]).astype(np.uint8).tobytes()),
            ),
            t_ns=clock.control_ns,
            scenario=scenario,
        )
        for f in flows:
            for episode in (*f.fault.episodes, *f.reversion.episodes):
                writer.write(
                    schema.Episode(
                        vantage=vantage,
                        service=service,
                        flow=f.trace.flow.id,
                        start_ns=episode.start_ns,
                        end_ns=episode.end_ns,
                        lost=episode.lost,
                        black_hole_ns=episode.black_hole_ns,
                        censored=episode.censored,
                        touched=f.touched,
                    ),
                    t_ns=episode.start_ns,
                    acc_ns=measured.interval_ns,
                    scenario=scenario,
                )


def write_connections(writer: EvidenceWriter, scenario: str, measured: Measured) -> None:
    """A record per connection."""
    for c in measured.connections:
        r = c.record
        phase = c.phase if c.phase in ("control", "fault", "recovery") else None
        writer.write(
            schema.Connection(
                vantage=r.vantage,
                id=r.id,
                src=r.src,
                sport=r.sport,
                dst=r.dst,
                dport=r.dport,
                opened_ns=r.opened_ns,
                backend=r.backend,
                touched=c.touched,
                heartbeats=r.heartbeats,
                broken_ns=r.broken_ns if phase else None,
                broken_by=r.broken_by if phase else None,
                phase=phase,  # type: ignore[arg-type]
            ),
            t_ns=r.opened_ns,
            scenario=scenario,
        )


def write_trust(writer: EvidenceWriter, scenario: str, checks: tuple[TrustCheck, ...], t_ns: int) -> None:
    """A record per check."""
    for c in checks:
        writer.write(
            schema.Trust(check=c.check, ok=c.ok, sentence=c.sentence, unit=c.unit, value=c.value, limit=c.limit),
            t_ns=t_ns,
            scenario=scenario,
        )
