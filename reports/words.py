"""How a verdict, a figure and a duration are said, the same in every report.

It turns figures into text; it must not know HTML, XML or Markdown, and decides nothing itself.
"""

from __future__ import annotations

import math
import re

from reports.evidence.reader import ScenarioEvidence
from reports.evidence.schema import Impaired, NewRequests, Span, Transport, Verdict, VerdictWord

SHAPES: dict[VerdictWord, str] = {"pass": "✔", "fail": "✖", "unknown": "◌"}
NOTHING = "–"

_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|%)(?!\w))|(?<=[±≥<]) (?=\d)")


def spoken(verdict: VerdictWord) -> str:
    """Shape and word, never colour alone: `✔ PASS`."""
    return f"{SHAPES[verdict]} {verdict.upper()}"


def tied(text: str) -> str:
    """A number stays on the line of its unit."""
    return _UNIT.sub("\u00a0", text)


def plain(value: float) -> str:
    """`10`, `2.5`: no exponent, no trailing zero, thousands grouped."""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def milliseconds(value: float | None, interval_ms: float, unit: str = "") -> str:
    """A time measured by probes of this interval, snapped to it: no digit that the accuracy does not carry."""
    if value is None:
        return NOTHING
    snapped = round(value / interval_ms) * interval_ms if interval_ms > 0 else value
    return plain(snapped) + (f" {unit}" if unit else "")


def black_hole(verdict: Verdict) -> str:
    """`410 ± 10 ms`; `≥ 4,200 ms, never ended` when it was censored; a dash when nothing was touched."""
    return stretch(verdict.black_hole_ms.max, verdict.interval_ms, ended=not verdict.black_hole_ms.censored)


def span(one: Span, interval_ms: float) -> str:
    """`230 ms (210 to 240)`: what was measured, and between which times the truth lies; at least, where it never ended."""
    told = milliseconds(one.ms, interval_ms, "ms")
    if one.high_ms is None:
        return f"≥ {told}, never ended"
    # outwards, so that no rounding makes the interval narrower than it is
    step = 10.0 ** math.floor(math.log10(interval_ms))
    low, high = math.floor(round(one.low_ms / step, 6)) * step, math.ceil(round(one.high_ms / step, 6)) * step
    return f"{told} ({plain(low)} to {plain(high)})"


def impaired(one: Impaired | None) -> str:
    """`3 late, 2 duplicate`: only what there was; empty without any."""
    if one is None:
        return ""
    kinds = (("late", one.late), ("corrupt", one.corrupt), ("duplicate", one.duplicate), ("reordered", one.reordered))
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds if number)


def none_of(among: int) -> str:
    """None of `among` was hit: the share that may be all the same, with 95 % confidence (exact binomial)."""
    return f"{100 * (1 - 0.05 ** (1 / among)):.2g} %"


def to_accuracy(value_ms: float, acc_ms: float) -> str:
    """A time known within `acc_ms`, with no digit below the decade of that accuracy, and never below 0.1 ms."""
    step = 10.0 ** max(-1, math.floor(math.log10(acc_ms))) if acc_ms > 0 else 0.1
    return milliseconds(value_ms, step)


def response(value_ms: float | None, unit: str = "") -> str:
    """A response time: two significant digits below 10 ms, whole milliseconds above."""
    if value_ms is None:
        return NOTHING
    return (f"{value_ms:,.0f}" if value_ms >= 10 else plain(round(value_ms, 1))) + unit


def tcp_interval_ms(one: ScenarioEvidence) -> float:
    """How exactly a failure of new connections is known: the interval of the SYNs, else that of all probes, in ms."""
    return _interval_ms(one, "tcp")


def request_interval_ms(one: ScenarioEvidence) -> float:
    """How exactly a failure of new requests is known: the interval of the requests, else that of all probes, in ms."""
    asked = one.verdict.new_requests if one.verdict else ()
    return max((series.interval_ms for series in asked), default=_interval_ms(one, "http", "request"))


def _interval_ms(one: ScenarioEvidence, *transports: Transport) -> float:
    steps = [block.interval_ns / 1e6 for block in one.flows if block.transport in transports]
    return max(steps, default=one.verdict.interval_ms if one.verdict else 0.0)


def new_fail(verdict: Verdict, step_ms: float) -> str:
    """For how long new connections failed: `230 ± 10 ms`; at least, where they never worked again. `step_ms` is
    `tcp_interval_ms`."""
    ended = not any(attempts.censored for attempts in verdict.new_connections)
    return stretch(verdict.new_fail_ms, step_ms, ended=ended)


def request_fail(verdict: Verdict, step_ms: float) -> str:
    """For how long touched new requests failed, as `new_fail`. `step_ms` is `request_interval_ms`."""
    ended = all(one.ended for one in verdict.new_requests if one.touched)
    return stretch(verdict.request_fail_ms, step_ms, ended=ended)


def stretch(longest_ms: float | None, step_ms: float, *, ended: bool) -> str:
    """The longest loss of something that was tried every `step_ms`, with that accuracy."""
    if longest_ms is None:
        return NOTHING
    longest = milliseconds(longest_ms, step_ms)
    return f"{longest} ± {plain(step_ms)} ms" if ended else f"≥ {longest} ms, never ended"


def outcomes(one: NewRequests) -> str:
    """`3 timed out, 1 reset`: how requests failed, the most frequent first; empty where none did."""
    return ", ".join(f"{number:,} {how}" for how, number in one.failed_by)


def stages(verdict: Verdict) -> str:
    """`detection 151 ms, withdrawal 4 ms, fib 48 ms, first packet 3 ms`; empty where none was seen."""
    return ", ".join(
        f"{one.name.replace('-', ' ')} {to_accuracy((one.end_ns - one.start_ns) / 1e6, one.acc_ns / 1e6)} ms"
        for one in verdict.stages
    )


def since(t_ns: int, event_ns: int | None, known_to_ns: int = 1_000_000) -> str:
    """An instant as seconds after the fault, with the digits that its accuracy carries: at most milliseconds."""
    if event_ns is None:
        return NOTHING
    digits = next((n for n in (3, 2, 1) if known_to_ns < 10 ** (10 - n)), 0)
    return f"{(t_ns - event_ns) / 1e9:+,.{digits}f} s".replace("-", "−")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
