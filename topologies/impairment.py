"""What a link does to the frames of one direction beside carrying them: read from words, checked, told. Pure; knows no kernel.

The words and their meanings are tc-netem(8)'s: a frame of `reordering` is sent without the delay, so it overtakes others.
"""

from __future__ import annotations

import re
from fractions import Fraction

import msgspec

TIME_RULE = "a time with its unit such as 20ms, 1.5s or 300us"
SHARE_RULE = "a share of the frames such as 1% or 0.05%, at most 100%"
RATE_RULE = "a rate in powers of 1000 such as 10mbit, 500kbit or 1gbit"
LONGEST_NS = 60_000_000_000
_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*"
_TIME = re.compile(_NUMBER + r"(ns|us|ms|s)")
_SHARE = re.compile(_NUMBER + r"%")
_RATE = re.compile(_NUMBER + r"([kmg]?)bit(?:/s|ps)?", re.IGNORECASE)
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_PREFIXES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def time_of(text: str) -> int:
    """Nanoseconds. Raises ValueError saying what would be right."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError(f"found {text!r}; expected {TIME_RULE}")
    return round(Fraction(found[1]) * _UNITS[found[2]])


def share_of(text: str) -> float:
    """A probability from 0 to 1. Raises ValueError saying what would be right."""
    found = _SHARE.fullmatch(text.strip())
    if not found or Fraction(found[1]) > 100:
        raise ValueError(f"found {text!r}; expected {SHARE_RULE}")
    return float(Fraction(found[1]) / 100)


def rate_of(text: str) -> int:
    """Bits per second. Raises ValueError saying what would be right."""
    found = _RATE.fullmatch(text.strip())
    if not found or not (rate := int(Fraction(found[1]) * _PREFIXES[found[2].lower()])):
        raise ValueError(f"found {text!r}; expected {RATE_RULE}")
    return rate


class Impairment(msgspec.Struct, frozen=True):
    """`delay_ns` of every frame, uniformly within ± `jitter_ns`; `loss`, `corruption` (one bit flipped), `duplication` and
    `reordering` as probabilities of a frame; `rate` in bits per second, 0 for as fast as it goes."""

    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    corruption: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    rate: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "corruption", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected a probability from 0 to 1")
        if not 0 <= self.delay_ns <= LONGEST_NS:
            raise ValueError(f"delay {_time(self.delay_ns)}: expected at most {_time(LONGEST_NS)}")
        if not 0 <= self.jitter_ns <= self.delay_ns:
            raise ValueError(
                f"jitter {_time(self.jitter_ns)} with delay {_time(self.delay_ns)}: expected no more jitter than delay"
            )
        if self.reordering and not self.delay_ns:
            raise ValueError("reordering without a delay: a frame overtakes others by not being delayed as they are")
        if self.rate < 0:
            raise ValueError(f"rate {self.rate}: expected bits per second")

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return self != Impairment()

    @property
    def held(self) -> bool:
        """Whether frames have to wait."""
        return bool(self.delay_ns)

    def __str__(self) -> str:
        jitter = f" ± {_time(self.jitter_ns)}" if self.jitter_ns else ""
        said = [f"delay {_time(self.delay_ns)}{jitter}"] if self.delay_ns else []
        shares = ("loss", "corruption", "duplication", "reordering")
        said += [f"{name} {getattr(self, name) * 100:.4g} %" for name in shares if getattr(self, name)]
        said += [f"rate {_rate(self.rate)}"] if self.rate else []
        return ", ".join(said) or "nothing"


def _time(ns: int) -> str:
    for unit in ("s", "ms", "us"):
        if ns >= _UNITS[unit]:
            return f"{ns / _UNITS[unit]:.6g} {'µs' if unit == 'us' else unit}"
    return f"{ns} ns"


def _rate(bits: int) -> str:
    for prefix in ("g", "m", "k"):
        if bits >= _PREFIXES[prefix]:
            return f"{bits / _PREFIXES[prefix]:.6g} {prefix.upper() if prefix != 'k' else prefix}bit/s"
    return f"{bits} bit/s"
