"""The report says when the instrument was calibrated and how far it was off, or that it never was."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import told as run_wide
from reports.charts.calibration import BOTTOM, LEFT, RIGHT, TOP, draw_calibration
from reports.evidence.calibration import Calibrated, Calibration, HoleError
from reports.evidence.reader import read_evidence
from reports.evidence.schema import Run
from reports.evidence.writer import EvidenceWriter
from reports.page import page
from reports.summary import markdown
from tests.reports.synthetic import PLANS, run, write_run

HOLES = tuple(HoleError(truth, -6.1, 0.2, 7.4) for truth in (5.5, 48.0, 410.0, 2003.0))
TEN = Calibrated(
    interval_ms=10,
    flows=20,
    worst_ms=9.806,
    beyond_lateness_ms=9.8,
    mean_ms=3.353,
    bias_ms=0.068,
    aggregate_ms=0.442,
    unexplained=0,
    by="departures",
    holes=HOLES,
)
KEPT = Calibration(calibrated_utc="2026-03-01T10:00:00+00:00", cores=2, kernel="6.12.9", intervals=(TEN,))


def calibrated(path: Path, kept: Calibration | None) -> Path:
    """A made-up run on a host where that was kept."""
    write_run(path, PLANS[:1], flows=5)
    with EvidenceWriter(path) as writer:
        writer.write(msgspec.structs.replace(run("end", "pass"), calibration=kept), t_ns=1)
    return path


def test_a_calibration_is_told_with_its_date_and_errors_in_every_report(tmp_path: Path) -> None:
    evidence = read_evidence(calibrated(tmp_path / "evidence.jsonl", KEPT))
    assert evidence.run is not None
    assert evidence.run.calibration == KEPT, "it comes back as it was written"
    html, text = page(evidence), markdown(evidence)
    for told in (html.replace("\u00a0", " "), text):
        assert "Calibrated 2026-03-01 on this host." in told.replace("\\", "")
        assert "error of a flow at most 9.806 ms, mean 3.353 ms" in told
        assert "of all 20 flows together, by their departures, at most 0.442 ms" in told
    assert html.count('class="chart calibration"') == 1
    assert "Never calibrated" not in html + text


def test_a_host_that_was_never_calibrated_is_told_so(tmp_path: Path) -> None:
    evidence = read_evidence(calibrated(tmp_path / "evidence.jsonl", None))
    for told in (page(evidence), markdown(evidence)):
        assert "Never calibrated on this host" in told
        assert "bench probe" in told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"beyond_lateness_ms": 10.5}, "more than an interval"),
        ({"unexplained": 3}, "3 probes lost otherwise"),
        ({"mean_ms": 3.8}, "the mean beyond 0.37 of an interval"),
        ({"bias_ms": -1.1}, "the bias beyond 0.1 of an interval"),
        ({"aggregate_ms": 1.1}, "all flows together beyond 0.1 of an interval"),
    ],
)
def test_an_instrument_that_was_wrong_is_called_so(wrong: dict[str, float], said: str) -> None:
    def told(one: Calibrated) -> str:
        kept = msgspec.structs.replace(KEPT, intervals=(one,))
        made: Run = msgspec.structs.replace(run("start"), calibration=kept)
        return run_wide.calibration(made)[1]

    assert told(TEN).startswith("✔")
    assert told(msgspec.structs.replace(TEN, **wrong)).startswith("✖")
    assert said in told(msgspec.structs.replace(TEN, **wrong))


errors_ms = st.integers(-10_000, 10_000).map(lambda n: n / 8)
holes = st.builds(HoleError, st.integers(1, 10**8).map(lambda n: n / 1000), errors_ms, errors_ms, errors_ms)


@given(found=st.lists(holes, max_size=12), interval=st.sampled_from([1.0, 10.0, 50.0]))
def test_every_hole_is_on_the_picture_and_what_is_beyond_its_edge_is_counted(
    found: list[HoleError], interval: float
) -> None:
    drawn = draw_calibration(msgspec.structs.replace(TEN, interval_ms=interval, holes=tuple(found)))
    if drawn is None:
        assert not found
        return
    assert len(re.findall("M", drawn.spans)) == len(re.findall("M", drawn.together)) == len(found)
    for x, y in re.findall(r"M([0-9.]+) ([0-9.]+)", drawn.spans + drawn.together):
        assert LEFT <= float(x) <= RIGHT
        assert TOP <= float(y) <= BOTTOM
    assert all(TOP <= float(y) <= BOTTOM for y in re.findall(r"V([0-9.]+)", drawn.spans))
    beyond = [h for h in found if h.least_ms < -1.25 * interval or h.most_ms > 1.25 * interval]
    assert drawn.wild == len(beyond)
    assert all(LEFT <= axis.at <= RIGHT for axis in drawn.xs)
