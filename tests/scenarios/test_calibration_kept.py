"""A calibration is kept outside the tree, whole, and counts for the host that it was made on alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from probes.calibration import Errors
from scenarios.calibration.kept import calibrated, calibration_file, keep, kept


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOSPOF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def errors() -> Errors:
    found = np.array([[-4_000_000, 6_000_000], [1_000_000, -9_000_000]], np.int64)
    return Errors(
        interval_ns=10_000_000,
        truth_ns=np.array([50_000_000, 70_000_000]),
        error_ns=found,
        together_ns=np.array([1_000_000, -4_000_000]),
        between_ns=np.array([2_000_000, 8_000_000]),
        lateness_ns=np.array([[0, 0], [0, 2_000_000]]),
        acc_ns=200,
        unexplained=0,
        not_sent=0,
    )


def test_what_was_kept_comes_back_and_the_next_one_replaces_it(cache: Path) -> None:
    assert kept() is None
    first = keep([calibrated(errors())])
    assert kept() == first
    assert calibration_file().parent == cache
    (one,) = first.intervals
    assert (one.interval_ms, one.flows, one.worst_ms, one.beyond_lateness_ms) == (10, 2, 9, 7)
    assert (one.mean_ms, one.bias_ms, one.aggregate_ms) == (5, -1.5, 4)
    assert [tuple(h) for h in msgspec.to_builtins(one.holes)] == [(50, -4, 1, 6), (70, -9, -4, 1)]
    second = keep([])
    assert kept() == second
    assert [path.name for path in cache.iterdir()] == ["calibration.json"], "nothing half written is left"


@pytest.mark.parametrize("other", [{"kernel": "2.6.32"}, {"cores": 4096}])
def test_another_kernel_or_machine_was_not_calibrated(other: dict[str, str | int]) -> None:
    made = msgspec.structs.replace(keep([calibrated(errors())]), **other)
    calibration_file().write_bytes(msgspec.json.encode(made))
    assert kept() is None


def test_what_was_measured_by_a_method_of_before_is_no_calibration() -> None:
    made = keep([msgspec.structs.replace(calibrated(errors()), by="counting")])
    assert made.intervals
    assert kept() is None


def test_what_cannot_be_read_is_no_calibration() -> None:
    keep([calibrated(errors())])
    calibration_file().write_bytes(calibration_file().read_bytes()[:-20])
    assert kept() is None
