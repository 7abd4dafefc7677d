"""How far the instrument was from known black holes when it was last calibrated on this host: a part of a run's record."""

from __future__ import annotations

from typing import Literal

import msgspec

MEAN_SHARE, BIAS_SHARE, AGGREGATE_SHARE = 0.37, 0.1, 0.1
"""Of an interval: what the mean error, the bias, and the error of all flows together may be. A perfect instrument has a third of an
interval for its mean, since a hole begins at any phase."""


class HoleError(msgspec.Struct, frozen=True, array_like=True):
    """One black hole in ms: its true length, and measured less true by the flow that said least, by all together, by the one that
    said most."""

    truth_ms: float
    least_ms: float
    together_ms: float
    most_ms: float


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one probe interval, measured less true, in ms. `worst_ms` and `mean_ms` are of a single flow, whatever the sign;
    `beyond_lateness_ms` is the largest that its own lateness does not explain; `aggregate_ms` is the largest of all flows together,
    `by` the mean of what they counted or from when their probes departed."""

    interval_ms: float
    flows: int
    worst_ms: float
    beyond_lateness_ms: float
    mean_ms: float
    bias_ms: float
    aggregate_ms: float
    unexplained: int
    by: Literal["counting", "departures"] = "counting"
    holes: tuple[HoleError, ...]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """When, on which host, and what was found at each interval."""

    calibrated_utc: str
    cores: int
    kernel: str
    intervals: tuple[Calibrated, ...]
