"""The figures of a calibration: an instrument that is right meets them, and each way to be wrong misses one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cli.calibration import rows_of_pass
from cli.figures import exit_code
from probes.calibration import Errors
from probes.trust import TrustCheck
from scenarios.calibration.calibrate import Pass

STEP = 10_000_000
HOLES, FLOWS = 60, 20


def errors(share: float = 1.0, shift: float = 0.0) -> Errors:
    """Of an instrument that counts whole intervals at every phase, times `share`, plus `shift` intervals."""
    phases = (np.arange(HOLES)[:, None] / HOLES + np.arange(FLOWS)[None, :] / FLOWS) % 1
    rests = np.arange(HOLES)[:, None] / HOLES
    counted = np.where(phases < rests, 1 - rests, -rests)
    found = ((counted * share + shift) * STEP).astype(np.int64)
    return Errors(
        interval_ns=STEP,
        truth_ns=np.full(HOLES, 10 * STEP),
        error_ns=found,
        together_ns=found.mean(axis=1).astype(np.int64),
        between_ns=np.full(HOLES, STEP // 10),
        lateness_ns=np.zeros_like(found),
        acc_ns=300,
        unexplained=0,
        not_sent=0,
    )


def passed(found: Errors, *doubts: TrustCheck) -> Pass:
    return Pass(traces=(), holes=(), errors=found, staggering_ns=STEP / 20, doubts=doubts)


def missed(found: Errors) -> list[str]:
    return [row.what for row in rows_of_pass(passed(found)) if row.met is False]


def test_an_instrument_that_is_right_meets_every_figure() -> None:
    assert missed(errors()) == []
    assert exit_code(rows_of_pass(passed(errors()))) == 0


@pytest.mark.parametrize(
    ("found", "figure"),
    [
        (dataclasses.replace(errors(), unexplained=1), "probes lost otherwise"),
        (errors(shift=1.5), "beyond its lateness"),
        (errors(shift=0.15), "bias"),
        (errors(shift=0.15), "all flows together"),
        (errors(share=1.4), "mean"),
        (dataclasses.replace(errors(), truth_ns=np.full(49, STEP)), "black holes injected"),
    ],
)
def test_each_way_to_be_wrong_misses_a_figure(found: Errors, figure: str) -> None:
    assert any(figure in what for what in missed(found)), missed(found)


def test_what_its_lateness_explains_is_no_error_of_the_instrument() -> None:
    late = dataclasses.replace(errors(shift=1.5), lateness_ns=np.full((HOLES, FLOWS), 2 * STEP))
    assert not any("beyond its lateness" in what for what in missed(late))


def test_what_the_prober_itself_doubts_was_not_measured() -> None:
    doubt = TrustCheck("lateness", False, 12.0, 10.0, "ms", "Probes left too late.")
    assert exit_code(rows_of_pass(passed(errors(), doubt))) == 3
