"""Times until flows were whole and on their new path, impaired packets and answer times: from what was measured to the evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probes.episodes import flow_loss
from probes.flows import CORRUPT, LOST, FlowTrace
from probes.packets import plan_flows
from reports.evidence.histogram import unpack_histogram
from reports.evidence.near import unpack_near
from reports.evidence.reader import read_evidence
from reports.evidence.schema import Flow, Flows, FlowsRecord, Impaired, Span, pack_u8
from reports.evidence.writer import EvidenceWriter
from scenarios.measured import FlowResult, Measured, measure_attempts, measure_flow, vantage_figures
from scenarios.record import stamps, write_attempts
from scenarios.timing import (
    answer_times,
    convergence,
    failover,
    impaired,
    reversion,
    route_convergence,
    with_impaired,
)
from tests.scenarios.made import CLOCK, EVENT, HEAL, STEP, flow, trace

MS = STEP / 1e6


def moved(lost: range, number: int, back: int | None = HEAL + 20) -> FlowTrace:
    """A flow that lost these probes, was then answered from one hop further away, and came back at a step after the heal."""
    made = trace(lost, number=number)
    ttl = np.full(len(made.due), 60, np.uint8)
    ttl[lost.stop : back] = 59
    return replace(made, ttl=ttl)


def together(*traces: FlowTrace, touched: bool = True) -> Measured:
    flows = tuple(measure_flow(t, CLOCK, touched=touched) for t in traces)
    return Measured(STEP, flows, (), (), CLOCK)


def test_a_fault_is_timed_by_every_method_that_its_flows_allow() -> None:
    given = together(*(moved(range(EVENT, EVENT + 10 + n), n) for n in range(16)))
    # the last probe lost was due 24 steps after the event: the end of the first whole sample after it, and one for its own
    found = convergence(given)
    assert found is not None
    assert found.time == Span(ms=26 * MS, low_ms=24 * MS, high_ms=27 * MS + 0.625, flows=16)
    assert failover(given) == Span(ms=26 * MS, low_ms=24 * MS, high_ms=26 * MS, flows=16)
    assert route_convergence(given) == Span(ms=25 * MS, low_ms=24 * MS, high_ms=26 * MS, flows=16)
    assert reversion(given).time == Span(ms=20 * MS, low_ms=19 * MS, high_ms=21 * MS, flows=16)


def test_a_drain_without_any_loss_has_a_time_until_the_new_path_was_taken() -> None:
    given = together(moved(range(EVENT + 30, EVENT + 30), 0))
    assert route_convergence(given) == Span(ms=30 * MS, low_ms=29 * MS, high_ms=31 * MS, flows=1)
    found = convergence(given)
    assert found is not None
    assert found.time.ms == 0


def test_what_cannot_be_told_is_left_out() -> None:
    alike = together(*(trace(range(EVENT, EVENT + 5), number=n) for n in range(20)))
    assert failover(alike) is None
    assert route_convergence(alike) is None
    assert reversion(alike).time is None
    few = together(*(moved(range(EVENT, EVENT + 5), n) for n in range(15)))
    assert failover(few) is None
    assert convergence(together(trace(), touched=False)) is None


def test_one_flow_that_never_came_back_leaves_no_failover_time_and_an_open_convergence() -> None:
    given = together(*(moved(range(EVENT, EVENT + 5), n) for n in range(16)), moved(range(EVENT, HEAL), 16))
    assert failover(given) is None
    found = convergence(given)
    assert found is not None
    assert found.time.high_ms is None
    assert not found.sustained


def test_without_a_clock_there_are_no_times() -> None:
    given = Measured(STEP, (flow(range(EVENT, EVENT + 3)),), ())
    assert (convergence(given), failover(given), route_convergence(given), reversion(given).time) == (None,) * 4
    (figures,) = vantage_figures(given, ["us"])
    assert with_impaired([figures], given) == (figures,)


def test_impaired_packets_are_counted_where_they_were_due() -> None:
    made = trace([EVENT + 3], kind=CORRUPT)
    made.rx[:] = made.tx + 1000
    made.rx[HEAL + 5] += 2 * STEP
    made = replace(made, duplicate=np.arange(len(made.due)) == EVENT + 8)
    given = together(made)
    (us, eu) = with_impaired(vantage_figures(given, ["us", "eu"]), given)
    assert us.impaired == Impaired(corrupt=1, duplicate=1)
    assert eu.impaired is None
    assert reversion(given).impaired == Impaired(reordered=1)


def test_packets_that_were_only_lost_are_not_listed_once_more() -> None:
    assert impaired([flow(range(EVENT, EVENT + 4))], None, CLOCK.heal_ns) is None


def test_upper_bounds_of_p99_need_299_flows() -> None:
    def figures(size: int) -> float | None:
        flows = tuple(
            FlowResult(made, True, 0, flow_loss(made.due, made.state, STEP), flow_loss([], [], STEP), 0, 0)
            for made in (trace(range(EVENT, EVENT + 1 + n % 5), number=n) for n in range(size))
        )
        return vantage_figures(Measured(STEP, flows, ()), ["us"])[0].p99_upper_ms

    assert figures(298) is None
    assert figures(299) == 5 * MS


def test_answer_times_are_of_each_phase_and_of_what_was_answered() -> None:
    made = trace(range(EVENT, HEAL))
    made.rx[:] = np.where(made.state == 0, made.tx + 300_000, 0)
    found = answer_times([made], CLOCK)
    assert [one.phase for one in found] == ["control", "recovery"], "nothing was answered in between"
    before = unpack_histogram(found[0].histogram)
    assert before.n == EVENT
    assert before.quantile_ns(0.5) == pytest.approx(300_000, rel=0.01)


def test_the_evidence_holds_every_attempt_near_one_that_failed(tmp_path: Path) -> None:
    made = trace(range(EVENT, EVENT + 5))
    (syn,) = plan_flows("us", "10.0.0.1", "web", "203.0.113.10", 80, 1, STEP, transport="tcp")
    tried = measure_attempts(replace(made, flow=syn), CLOCK, touched=True)
    with EvidenceWriter(tmp_path / "evidence.jsonl") as writer:
        write_attempts(writer, "kill-l4", Measured(STEP, (), (), (tried,), CLOCK), CLOCK)
    (block,) = (r.data for r in read_evidence(tmp_path / "evidence.jsonl").records if isinstance(r, FlowsRecord))
    (near,) = unpack_near(block)
    assert near.state.count(LOST) == 5
    assert (near.run.first, len(near.run.due)) == (0, EVENT + 5 + 100 + 1)


def test_every_probe_near_an_episode_is_kept_and_of_a_quiet_flow_none() -> None:
    made = trace(range(EVENT, EVENT + 5))
    made.rx[:] = np.where(made.state == 0, made.tx + 300_000, 0)
    flows = together(trace(number=1), made).flows
    size = len(made.due)
    block = Flows(
        vantage="us",
        service="echo",
        interval_ns=STEP,
        t0_ns=CLOCK.control_ns,
        t1_ns=CLOCK.end_ns,
        event_ns=CLOCK.event_ns,
        backends=("l7-1",),
        flows=tuple(
            Flow(id=n, src="c", sport=n, dst="d", dport=7, touched=True, first_due_ns=0, count=size) for n in range(2)
        ),
        state=pack_u8(np.concatenate([f.trace.state for f in flows]).tobytes()),
        backend=pack_u8(bytes(2 * size)),
        near=stamps(flows),
    )
    (near,) = unpack_near(block)
    # 1 s is 100 steps: from the window's begin to 100 after the first answered one
    assert (near.run.flow, near.run.first, len(near.run.due)) == (1, 0, EVENT + 5 + 100 + 1)
    assert near.run.due.tolist() == made.due[: EVENT + 106].tolist()
    assert near.run.rx.tolist() == made.rx[: EVENT + 106].tolist()
    assert list(near.state) == made.state[: EVENT + 106].tolist()
    assert stamps(flows[:1]) is None
