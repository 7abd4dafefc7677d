"""The latest calibration of this host, in the cache outside the tree: written by whoever calibrates, read by every run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from probes.calibration import Errors
from reports.evidence.calibration import Calibrated, Calibration, HoleError
from topologies.image.cache import cache_root


def calibration_file() -> Path:
    return cache_root() / "calibration.json"


def calibrated(errors: Errors) -> Calibrated:
    """What is kept of one interval's errors: to the microsecond, which is as exact as the gate's own clock readings are worth."""
    least, most = errors.error_ns.min(axis=1), errors.error_ns.max(axis=1)
    rows = zip(errors.truth_ns, least, errors.together_ns, most, strict=True)
    return Calibrated(
        interval_ms=errors.interval_ns / 1e6,
        flows=errors.error_ns.shape[1],
        worst_ms=_ms(errors.worst_ns),
        beyond_lateness_ms=_ms(errors.beyond_lateness_ns),
        mean_ms=_ms(errors.mean_ns),
        bias_ms=_ms(errors.bias_ns),
        aggregate_ms=_ms(errors.worst_aggregate_ns),
        unexplained=errors.unexplained,
        by="departures",
        holes=tuple(HoleError(*map(_ms, row)) for row in rows),
    )


def _ms(value_ns: float | np.floating | np.integer) -> float:
    return round(float(value_ns) / 1e6, 3)


def keep(intervals: Iterable[Calibrated]) -> Calibration:
    """Replaces what was kept before, whole or not at all. Raises OSError."""
    made = Calibration(
        calibrated_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        intervals=tuple(intervals),
    )
    path = calibration_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(made))
    fresh.replace(path)
    return made


def kept() -> Calibration | None:
    """The latest, or None where there is none that can be read, another kernel or number of cores was calibrated, or by a method of
    before."""
    try:
        found = msgspec.json.decode(calibration_file().read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError):
        return None
    same = (found.cores, found.kernel) == (os.cpu_count() or 1, platform.release())
    return found if same and all(one.by == "departures" for one in found.intervals) else None
