"""Histograms of times with two significant digits from nanoseconds to hours, packed as text.

Buckets as in HdrHistogram: up to 256 ns one each, from there on 128 per doubling, so a bucket is narrower than 1 % of what is in it.
It knows numbers and not whose times they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reports.evidence.packing import pack_i64, unpack_i64

_EXACT_BITS = 8
_PER_DOUBLING = 1 << (_EXACT_BITS - 1)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in which bucket; only those with any, ascending."""

    buckets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        return sum(self.counts)

    def quantile_ns(self, share: float) -> int | None:
        """The nearest-rank quantile (0 < share <= 1) as the middle of its bucket, within 0.5 %; None without any value."""
        rank, seen = max(1, math.ceil(share * self.n)), 0
        for bucket, count in zip(self.buckets, self.counts, strict=True):
            seen += count
            if seen >= rank:
                low, high = bounds_ns(bucket)
                return (low + high - 1) // 2
        return None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(bucket, count) of each."""
        return zip(self.buckets, self.counts, strict=True)


def bucket_of(values_ns: ArrayLike) -> NDArray[np.int64]:
    """The bucket of each value in ns, 0 or more. Raises ValueError for a negative one."""
    values = np.asarray(values_ns, np.int64)
    if values.size and int(values.min()) < 0:
        raise ValueError(f"{int(values.min())} ns is no time that can be waited for")
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    # a value that rounds up to a power of two as a float has one bit fewer
    bits -= (bits > 0) & ((values >> np.maximum(bits - 1, 0)) == 0)
    shift = np.maximum(bits - _EXACT_BITS, 0)
    found: NDArray[np.int64] = shift * _PER_DOUBLING + (values >> shift)
    return found


def bounds_ns(bucket: int) -> tuple[int, int]:
    """The values of a bucket, [low, high) in ns."""
    shift = max(0, bucket // _PER_DOUBLING - 1)
    low = bucket - shift * _PER_DOUBLING
    return low << shift, (low + 1) << shift


def histogram(values_ns: ArrayLike) -> Histogram:
    """Of times in ns. Raises ValueError for a negative one."""
    buckets, counts = np.unique(bucket_of(values_ns), return_counts=True)
    return Histogram(tuple(buckets.tolist()), tuple(counts.tolist()))


def merged(parts: Iterable[Histogram]) -> Histogram:
    """All values of several histograms in one."""
    found: dict[int, int] = {}
    for part in parts:
        for bucket, count in part:
            found[bucket] = found.get(bucket, 0) + count
    ordered = sorted(found)
    return Histogram(tuple(ordered), tuple(found[b] for b in ordered))


def pack_histogram(made: Histogram) -> str:
    """As text for a line of evidence: a few dozen bytes where most answers take about as long."""
    return pack_i64([*np.diff(made.buckets, prepend=0), *made.counts] if made.buckets else [])


def unpack_histogram(packed: str) -> Histogram:
    """The inverse of `pack_histogram`. Raises ValueError when the text is not what it wrote."""
    values = unpack_i64(packed)
    if len(values) % 2:
        raise ValueError(f"not a packed histogram: {len(values)} numbers are no pairs of bucket and count")
    half = len(values) // 2
    buckets, counts = np.cumsum(values[:half]), values[half:]
    if half and (int(values[1:half].min(initial=1)) < 1 or int(buckets[0]) < 0 or int(counts.min()) < 1):
        raise ValueError("not a packed histogram: buckets must ascend, and each must hold something")
    return Histogram(tuple(buckets.tolist()), tuple(counts.tolist()))
