"""Every kind of break, made up as evidence: verdict, page, Markdown, JUnit and metrics say the same words, figures and broken limits.

These tests read the reports as their users do and know nothing of how they are made.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.evidence.again import again
from reports.evidence.reader import Evidence, read_evidence
from reports.evidence.schema import (
    BlackHole,
    BrokenBy,
    Connection,
    Fault,
    Judgement,
    NewRequests,
    Percentiles,
    Verdict,
    VerdictWord,
)
from reports.evidence.writer import EvidenceWriter
from reports.metrics import metrics
from reports.page import page
from reports.summary import junit, markdown
from tests.reports.synthetic import run

EVENT_NS = 100 * 10**9
SECOND = 10**9
KEYS = ("black_hole", "new_fail", "request_fail", "resolve_fail", "latency", "load_fail")
ONCE = (("recover", "touched", "fault"), ("ended", "touched", "fault"), ("return", "touched", "after"))
USES: tuple[Literal["busy", "idle", "stream"], ...] = ("busy", "idle", "stream")
ENDS: tuple[BrokenBy | None, ...] = (*get_args(BrokenBy), None)
OUTCOMES = ("timeout", "refused", "reset", "wrong status", "tls error")

states_ = st.sampled_from(["ok", "fail", "unknown", None])


@st.composite
def rows_(draw: st.DrawFn, key: str, where: str, part: str, use: str | None) -> Judgement:
    """A row of any state, with a figure and a range that fit it."""
    state, limit = draw(states_), draw(st.integers(0, 500)) * 10.0
    over, censored = draw(st.integers(1, 700)) * 10.0, draw(st.booleans())
    figure = {"ok": min(over, limit), "fail": limit + over, "unknown": limit, None: over}[state]
    unit = "connections" if key == "broken" else "percent" if key == "load_fail" else "ms"
    if unit == "percent":
        figure, limit = figure / 100, limit / 100
    what = f"{'elsewhere.' if where == 'elsewhere' else ''}{'reversion.' if part == 'after' and key != 'return' else ''}{key}"
    word = {"ms": " ms", "percent": " %", "connections": " of 9000"}[unit]
    return Judgement(
        what=what,
        measured=f"{'≥ ' if censored else ''}{figure:,.12g}{word}",
        budget=f"{limit:,.12g}{word if unit == 'ms' else ''}" if state else "not judged",
        ok={"ok": True, "fail": False}.get(state or ""),
        key=key,
        where=where,  # type: ignore[arg-type]
        part=part,  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        unit=unit,  # type: ignore[arg-type]
        figure=figure,
        low=max(0.0, figure - 10),
        high=None if censored else figure + 10,
        limit=limit if state else None,
        censored=censored,
        use=use,  # type: ignore[arg-type]
        by=f"flow {key} {where} {part}" if state == "fail" else "",
        why=f"of {key} too little was seen" if state == "unknown" else "",
        under="kill-node",
    )


@st.composite
def trials_(draw: st.DrawFn) -> dict[str, Any]:
    places = [
        *product(KEYS, ("touched", "elsewhere"), ("fault", "after"), (None,)),
        *((*place, None) for place in ONCE),
        *product(("broken",), ("touched", "elsewhere"), ("fault", "after"), USES),
    ]
    chosen = draw(st.lists(st.sampled_from(places), unique=True, max_size=8))
    judged = tuple(draw(rows_(*place)) for place in chosen)
    seen = {row.state for row in judged}
    words: list[VerdictWord] = ["fail"] if "fail" in seen else ["unknown"] if "unknown" in seen else ["pass", "fail"]
    counts = draw(st.booleans()) if "fail" not in seen else True
    return {
        "judged": judged,
        # a fault that is not proven to have bitten breaks no limit, whatever was lost; an action may be refused
        "word": "unknown" if not counts else draw(st.sampled_from([*words, "unknown"])),
        "counts": counts,
        "carried": draw(st.booleans()),
        "hole": draw(st.none() | st.integers(0, 500).map(lambda n: n * 10.0)),
        "censored": draw(st.integers(0, 1)),
        "requests": [
            {how: draw(st.integers(1, 40)) for how in draw(st.sets(st.sampled_from(OUTCOMES), max_size=3))}
            for _ in range(draw(st.integers(0, 3)))
        ],
        "ended": draw(st.booleans()),
        "connections": [
            draw(
                st.tuples(
                    st.sampled_from(ENDS),
                    st.sampled_from(USES),
                    st.sampled_from(["control", "fault", "recovery"]),
                    st.booleans(),  # opened before the event
                    st.booleans(),  # announced, where nothing broke it
                )
            )
            for _ in range(draw(st.integers(0, 12)))
        ],
    }


def connection(number: int, told: tuple[Any, ...]) -> Connection:
    by, use, phase, before, announced = told
    at = EVENT_NS + {"control": -SECOND, "fault": SECOND, "recovery": 9 * SECOND}[phase]
    return Connection(
        vantage=f"client-{number % 2}",
        id=number,
        src="10.0.0.1",
        sport=20_000 + number,
        dst="203.0.113.10",
        dport=80,
        opened_ns=EVENT_NS + (-5 * SECOND if before or phase == "control" else SECOND // 2),
        touched=number % 2 == 0,
        heartbeats=3,
        broken_ns=at if by else None,
        broken_by=by,
        phase=phase if by else None,
        closed_ns=EVENT_NS + 2 * SECOND if announced and by is None else None,
        use=use,
    )


def counted(trial: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The connections that a verdict counts as broken: there at the event, and broken from it to the heal, whatever broke them."""
    return [told for told in trial["connections"] if told[0] and told[2] == "fault" and told[3]]


def verdict(name: str, trial: dict[str, Any]) -> Verdict:
    asked = tuple(
        NewRequests(
            vantage=f"client-{n}",
            service="web",
            family=4,
            touched=True,
            requests=200,
            failed=sum(failed.values()),
            request_fail_ms=50.0 * sum(failed.values()),
            ended=trial["ended"] or not failed,
            interval_ms=50.0,
            latency=Percentiles(n=100, p50=1.5, p99=9.0, max=12.0),
            failed_by=tuple(failed.items()),
        )
        for n, failed in enumerate(trial["requests"])
    )
    return Verdict(
        scenario=name,
        title=name,
        fault="kill-node",
        target="l4-1",
        element="L4 node l4-1",
        verdict=trial["word"],
        reason="L4 node l4-1: because.",
        headline="What happened.",
        interval_ms=10.0,
        flows=150,
        touched=24,
        connections=sum(1 for told in trial["connections"] if told[3]),
        broken=len(counted(trial)),
        vantages=(),
        judged=trial["judged"],
        reproduce="./nospof run",
        black_hole_ms=BlackHole(max=trial["hole"], censored=trial["censored"]),
        new_requests=asked,
        request_fail_ms=max((one.request_fail_ms for one in asked), default=None),
        carried=trial["carried"],
        counts=trial["counts"],
    )


def written(path: Path, trials: dict[str, dict[str, Any]]) -> Evidence:
    with EvidenceWriter(path) as writer:
        writer.write(run("start"), t_ns=1)
        for name, trial in trials.items():
            inject = Fault(action="inject", fault="kill-node", target="l4-1", nodes=("l4-1",), spread_ns=0, ok=True)
            writer.write(inject, t_ns=EVENT_NS, scenario=name)
            for number, told in enumerate(trial["connections"]):
                writer.write(connection(number, told), t_ns=EVENT_NS, scenario=name)
            writer.write(verdict(name, trial), t_ns=EVENT_NS, scenario=name)
        writer.write(run("end"), t_ns=3)
    return read_evidence(path)


Limit = tuple[str, str]
"""What a row is of, and of which connections."""


def limits(trial: dict[str, Any], state: str) -> set[Limit]:
    """As the verdict has them; an unknown trial broke nothing."""
    if trial["word"] == "unknown":
        held = {"unknown": ("unknown", "fail"), "fail": (), "ok": ("ok",)}[state]
        return {(row.what, row.use or "") for row in trial["judged"] if row.state in held}
    return {(row.what, row.use or "") for row in trial["judged"] if row.state == state}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(trials_(), min_size=1, max_size=2))
def test_every_break_is_told_alike_everywhere(given_: list[dict[str, Any]]) -> None:
    # two targets of one scenario, the second of which was tried once more: its last attempt counts
    trials = {f"kill-l4 l4-{n}": trial for n, trial in enumerate(given_)}
    named = dict(trials)
    last = list(trials)[-1]
    named[again(last)] = named[last]
    named[last] = {**named[last], "judged": (), "word": "unknown", "counts": True, "connections": [], "requests": []}
    with tempfile.TemporaryDirectory() as folder:
        evidence = written(Path(folder) / "evidence.jsonl", named)
        html, text, xml, samples = page(evidence), markdown(evidence), junit(evidence), measured(metrics(evidence))
    cases = {case.get("name"): case for case in ElementTree.fromstring(xml).iter("testcase")}
    assert len(set(re.findall(r'<section id="(s-[^"]*)"', html))) == len(trials)
    for name, trial in trials.items():
        told = verdict(name, trial)
        section = html[html.index(f"<span>scenario <b>{name}</b>") :].split("</section>")[0]
        row = re.search(rf'<a href="#[^"]*">{name}</a>.*?</tr>', html, re.DOTALL)
        line = re.search(rf"^\| . (\w+) \| {re.escape(name)}[ ,].*$", text, re.MULTILINE)
        case = cases[name]
        assert row
        assert line
        verdict_agrees(name, told, section, line[1], case, samples)
        limits_agree(name, trial, section, text, case, samples)
        figures_agree(told, row[0], line[0], case)
        connections_agree(name, trial, section, samples)
        requests_agree(name, told, section, samples)


def verdict_agrees(
    name: str, told: Verdict, section: str, line: str, case: ElementTree.Element, samples: dict[Any, float]
) -> None:
    shown = "fail" if case.find("failure") is not None else "unknown" if case.find("error") is not None else "pass"
    assert shown == line.lower() == told.verdict
    assert [one for (family, labels), one in samples.items() if family == "nospof_verdict" and name in labels.values()]
    word = frozenset({"scenario": name, "nospof_verdict": told.verdict}.items())
    assert samples["nospof_verdict", Labels(word)] == 1
    stood_by = told.verdict == "pass" and not told.carried
    assert ("<b>stood by</b>" in section) == stood_by
    assert ("<b>not promised</b>" in section) == (not told.counts)


def limits_agree(
    name: str, trial: dict[str, Any], section: str, text: str, case: ElementTree.Element, samples: dict[Any, float]
) -> None:
    of_page = {
        state: {(what, use or "") for what, found, use in LIMIT.findall(section) if found == state}
        for state in ("ok", "fail", "unknown")
    }
    of_metrics = {
        state: {
            (labels["limit"], labels.get("use", ""))
            for (family, labels), one in samples.items()
            if family == "nospof_limit" and labels["scenario"] == name and labels["nospof_limit"] == state and one
        }
        for state in ("ok", "fail", "unknown")
    }
    message = " ".join(one.get("message") or "" for one in case)
    properties = Counter(p.get("name") for p in case.iter("property"))
    paragraph = text[text.index(f"**{'✔✖◌'[['pass', 'fail', 'unknown'].index(trial['word'])]} {name}**") :]
    paragraph = paragraph.split("Again: ")[0].replace("\\", "")
    for state in ("ok", "fail", "unknown"):
        assert of_page[state] == of_metrics[state] == limits(trial, state)
    assert properties["limit_broken"] == len(limits(trial, "fail"))
    assert properties["limit_unknown"] == len(limits(trial, "unknown")) == paragraph.count("\n◌ ")
    for row in trial["judged"]:
        labels = {"scenario": name, "limit": row.what, "budget": row.under, **({"use": row.use} if row.use else {})}
        unit, per = {"ms": ("seconds", 1000), "connections": ("connections", 1), "percent": ("ratio", 100)}[row.unit]
        figure = samples[f"nospof_figure_{unit}", Labels(frozenset(labels.items()))]
        assert abs(figure - row.figure / per) < 1e-6
        broken = (row.what, row.use or "") in limits(trial, "fail")
        said = f"{row.measured} ({row.by}), budget {row.budget}"
        assert (said in message) == (said in paragraph) == broken, "a broken limit, its figure and whose that is"
        if broken or row.state == "unknown":
            assert f">{row.measured}</td>" in unescape(section)
        if row.state == "unknown":
            assert row.why in paragraph
            assert row.why in section


def figures_agree(told: Verdict, row: str, line: str, case: ElementTree.Element) -> None:
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    hole, asked = (
        said(told.black_hole_ms.max, 10, told.black_hole_ms.censored),
        said(told.request_fail_ms, 50, any(not one.ended for one in told.new_requests)),
    )
    for key, value in (
        ("black_hole", hole),
        ("request_fail", asked),
        ("broken", f"{told.broken} of {told.connections}"),
    ):
        assert f">{value}<" in row
        assert f"| {value} |" in line
        assert properties[key] == value


def said(ms: float | None, step: int, censored: bool | int) -> str:
    if ms is None:
        return "–"
    return f"≥ {ms:,.0f} ms, never ended" if censored else f"{ms:,.0f} ± {step} ms"


def connections_agree(name: str, trial: dict[str, Any], section: str, samples: dict[Any, float]) -> None:
    broken = counted(trial)
    if trial["connections"]:
        assert f"<b>{len(broken)} broken</b> by the fault" in section
    ways = Counter((told[1], (told[0] or "").replace("closed", "closed-without-notice")) for told in broken)
    found: Counter[tuple[str, str]] = Counter()
    for (family, labels), number in samples.items():
        if family == "nospof_ended_connections" and labels["scenario"] == name and labels["how"] != "closed":
            found[labels["use"], labels["how"]] += int(number)
    assert found == ways
    assert samples["nospof_broken_connections", Labels(frozenset({"scenario": name}.items()))] == len(broken)


def requests_agree(name: str, told: Verdict, section: str, samples: dict[Any, float]) -> None:
    for one in told.new_requests:
        series = {"scenario": name, "vantage": one.vantage, "service": one.service, "family": "4"}
        assert samples["nospof_requests", Labels(frozenset(series.items()))] == one.requests
        for how, number in one.failed_by:
            outcome = Labels(frozenset({**series, "outcome": how}.items()))
            assert samples["nospof_failed_requests", outcome] == number
            assert f"{number} {how}" in section


LIMIT = re.compile(r'data-limit="([^"]+)" data-state="(\w+)"(?: data-use="(\w+)")?')
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


class Labels(dict[str, str]):
    """Labels of a sample, whatever their order."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def measured(text: str) -> dict[Any, float]:
    """Every sample of a metrics file; none is there twice."""
    found: dict[Any, float] = {}
    for line in text.splitlines():
        if sample := _SAMPLE.match(line) if not line.startswith("#") else None:
            key = sample[1], Labels(re.findall(r'(\w+)="([^"]*)"', sample[2] or ""))
            assert key not in found
            found[key] = float(sample[3])
    return found
