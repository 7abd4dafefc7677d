"""`metrics.txt`: the figures of a run in OpenMetrics text, for whoever collects them over nights.

Rendered from evidence alone; it must not judge, and leaves out what was not measured instead of writing a zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from reports import held, rows, told
from reports.evidence.reader import Evidence, ScenarioEvidence
from reports.evidence.schema import Judgement, NewRequests

_Sample = tuple[Mapping[str, str], float]


def metrics(evidence: Evidence) -> str:
    """All durations in seconds. A verdict is one sample per word, 1 for the one that it is (a StateSet)."""
    families: list[tuple[str, str, str, str, list[_Sample]]] = [
        ("nospof_run_verdict", "stateset", "", "Verdict of the whole run.", list(_states(evidence.verdict, {}))),
        *(
            (name, kind, unit, text, [sample for one in evidence.scenarios for sample in made(one)])
            for name, kind, unit, text, made in _FAMILIES
        ),
        (
            "nospof_calibration_error_seconds",
            "gauge",
            "seconds",
            "Largest error against known black holes when this host was last calibrated.",
            list(_calibration(evidence)),
        ),
    ]
    lines: list[str] = []
    for name, kind, unit, text, samples in families:
        if not samples:
            continue
        lines.append(f"# TYPE {name} {kind}")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {text}")
        lines += [f"{name}{_labels(labels)} {value:.9g}" for labels, value in samples]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _states(word: str, labels: Mapping[str, str], name: str = "nospof_run_verdict") -> Iterator[_Sample]:
    for one in ("pass", "fail", "unknown"):
        yield {**labels, name: one}, float(one == word)


def _verdict(one: ScenarioEvidence) -> Iterator[_Sample]:
    yield from _states(told.word_of(one), {"scenario": one.name}, "nospof_verdict")


def _black_hole(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.black_hole_ms.max is not None:
        yield {"scenario": one.name}, one.verdict.black_hole_ms.max / 1000


def _new_fail(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.new_fail_ms is not None:
        yield {"scenario": one.name}, one.verdict.new_fail_ms / 1000


def _broken(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict:
        yield {"scenario": one.name}, float(one.verdict.broken)


def _connections(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict:
        yield {"scenario": one.name}, float(one.verdict.connections)


def _request_fail(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.request_fail_ms is not None:
        yield {"scenario": one.name}, one.verdict.request_fail_ms / 1000


def _requests(one: ScenarioEvidence) -> Iterator[_Sample]:
    for asked in one.verdict.new_requests if one.verdict else ():
        yield {"scenario": one.name, **_series(asked)}, float(asked.requests)


def _failed_requests(one: ScenarioEvidence) -> Iterator[_Sample]:
    for asked in one.verdict.new_requests if one.verdict else ():
        for how, number in asked.failed_by:
            yield {"scenario": one.name, **_series(asked), "outcome": how}, float(number)


def _request_seconds(one: ScenarioEvidence) -> Iterator[_Sample]:
    for asked in one.verdict.new_requests if one.verdict else ():
        for share, took in (("0.5", asked.latency.p50), ("0.99", asked.latency.p99), ("1", asked.latency.max)):
            if took is not None:
                yield {"scenario": one.name, **_series(asked), "share": share}, took / 1000


def _series(asked: NewRequests) -> dict[str, str]:
    return {"vantage": asked.vantage, "service": asked.service, "family": str(asked.family)}


def _ended(one: ScenarioEvidence) -> Iterator[_Sample]:
    for ended in held.ended_by_vantage(one.connections, one.event_ns):
        ways = (
            ("reset", ended.reset),
            ("stall", ended.stall),
            ("other-backend", ended.moved),
            ("closed-without-notice", ended.unannounced),
            ("closed", ended.closed),
        )
        for how, number in ways:
            if number:
                yield (
                    {"scenario": one.name, "vantage": ended.vantage, "use": ended.use or "", "how": how},
                    float(number),
                )


def _limits(one: ScenarioEvidence) -> Iterator[_Sample]:
    for row, labels in _rows(one):
        state = rows.state_of(one.verdict, row) if one.verdict else None
        if state is not None:
            for word in ("ok", "fail", "unknown"):
                yield {**labels, "nospof_limit": word}, float(state == word)


def _figures(unit: str, per: float) -> Callable[[ScenarioEvidence], Iterator[_Sample]]:
    def made(one: ScenarioEvidence) -> Iterator[_Sample]:
        for row, labels in _rows(one):
            if row.unit == unit and row.figure is not None:
                yield labels, row.figure / per

    return made


def _rows(one: ScenarioEvidence) -> Iterator[tuple[Judgement, dict[str, str]]]:
    """Every row, with the labels that no other row of its trial has."""
    for row in one.verdict.judged if one.verdict else ():
        labels = {"scenario": one.name, "limit": row.what, "use": row.use or "", "budget": row.under}
        yield row, {name: value for name, value in labels.items() if value}


def _carried(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict:
        yield {"scenario": one.name}, float(one.verdict.carried)


def _counts(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict:
        yield {"scenario": one.name}, float(one.verdict.counts)


def _stages(one: ScenarioEvidence) -> Iterator[_Sample]:
    for stage in one.verdict.stages if one.verdict else ():
        yield {"scenario": one.name, "stage": stage.name}, (stage.end_ns - stage.start_ns) / 1e9


def _full_convergence(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.convergence is not None and one.verdict.convergence.time.high_ms is not None:
        yield {"scenario": one.name}, one.verdict.convergence.time.ms / 1000


def _failover(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.failover is not None:
        yield {"scenario": one.name}, one.verdict.failover.ms / 1000


def _lost(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.died is not None:
        yield {"scenario": one.name}, float(one.verdict.died.lost)


def _unattributed(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.died is not None:
        yield {"scenario": one.name}, float(one.verdict.died.unattributed)


def _died(one: ScenarioEvidence) -> Iterator[_Sample]:
    counted: Counter[tuple[str, str]] = Counter()
    for cause in one.verdict.died.causes if one.verdict and one.verdict.died else ():
        if cause.source != "none":
            counted[cause.node, cause.reason] += cause.lost
    for (node, reason), lost in counted.items():
        yield {"scenario": one.name, "node": node, "reason": reason}, float(lost)


def _lateness(one: ScenarioEvidence) -> Iterator[_Sample]:
    if one.verdict and one.verdict.lateness_p99_ms is not None:
        yield {"scenario": one.name}, one.verdict.lateness_p99_ms / 1000


def _calibration(evidence: Evidence) -> Iterator[_Sample]:
    calibration = evidence.run.calibration if evidence.run else None
    for one in calibration.intervals if calibration else ():
        for of, error_ms in (("flow", one.worst_ms), ("all", one.aggregate_ms)):
            yield {"interval": f"{one.interval_ms / 1000:g}", "of": of}, error_ms / 1000


_FAMILIES = (
    ("nospof_verdict", "stateset", "", "Verdict of a scenario.", _verdict),
    ("nospof_black_hole_seconds", "gauge", "seconds", "Longest black hole of a touched flow.", _black_hole),
    ("nospof_new_fail_seconds", "gauge", "seconds", "Longest time for which new connections failed.", _new_fail),
    ("nospof_broken_connections", "gauge", "", "Established connections that broke.", _broken),
    ("nospof_established_connections", "gauge", "", "Established connections that were held.", _connections),
    (
        "nospof_request_fail_seconds",
        "gauge",
        "seconds",
        "Longest time for which touched new requests failed.",
        _request_fail,
    ),
    ("nospof_requests", "gauge", "", "New requests from the event to the heal.", _requests),
    ("nospof_failed_requests", "gauge", "", "Those of them that failed, by how.", _failed_requests),
    ("nospof_request_seconds", "gauge", "seconds", "How long a share of new requests took at most.", _request_seconds),
    (
        "nospof_ended_connections",
        "gauge",
        "",
        "Established connections that ended, by how; closed breaks nothing.",
        _ended,
    ),
    ("nospof_limit", "stateset", "", "What came of each limit.", _limits),
    ("nospof_figure_seconds", "gauge", "seconds", "What a limit was held against.", _figures("ms", 1000)),
    ("nospof_figure_connections", "gauge", "", "What a limit was held against.", _figures("connections", 1)),
    ("nospof_figure_ratio", "gauge", "ratio", "What a limit was held against.", _figures("percent", 100)),
    ("nospof_carried", "gauge", "", "Whether traffic crossed the element before the fault.", _carried),
    ("nospof_counts", "gauge", "", "Whether the verdict counts for the run's: what is not promised does not.", _counts),
    ("nospof_stage_seconds", "gauge", "seconds", "How long a stage of the failover took.", _stages),
    (
        "nospof_full_convergence_seconds",
        "gauge",
        "seconds",
        "Full Convergence Time of all touched flows (RFC 6412).",
        _full_convergence,
    ),
    ("nospof_failover_seconds", "gauge", "seconds", "Longest failover between time stamps (RFC 6414).", _failover),
    ("nospof_lost_probes", "gauge", "", "Probes lost from the event to the heal, SYNs included.", _lost),
    ("nospof_unattributed_probes", "gauge", "", "Lost probes of which nobody knows where they died.", _unattributed),
    ("nospof_died_probes", "gauge", "", "Lost probes by the last element that saw them and why.", _died),
    ("nospof_lateness_seconds", "gauge", "seconds", "By how much probes left late, 99th percentile.", _lateness),
)


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}" if labels else ""
