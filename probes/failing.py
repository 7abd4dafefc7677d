"""For how long attempts of one series failed: from the due time of the first failed one to that of the next good one.

Pure: it knows due times and which attempts were good, not what was attempted, nor what was broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

APART_NS = 1_000_000_000
"""Failed attempts closer together than this are of one stretch: where only a share of attempts meets the dead element, those
in between succeed."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Attempts failed from `start_ns`, the due time of the first one, until `end_ns`, that of the next good one.

    Not `ended`: no good one came after the last failed one. `end_ns` is then when the next attempt after that was due, and
    the stretch lasted at least so long. Times in CLOCK_MONOTONIC ns, `last_ns` that of the last failed attempt.
    """

    start_ns: int
    last_ns: int
    end_ns: int
    failed: int
    ended: bool

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns


def stretches(due: ArrayLike, good: ArrayLike, interval_ns: int) -> tuple[Stretch, ...]:
    """From the due times (ns) of a series' attempts, in any order, and whether each was good: ascending, none overlapping.

    Leave out what is neither good nor failed, such as attempts that were never sent. Failed attempts are of one stretch
    where they are less than APART_NS apart, or no good one lies between them. Raises ValueError if the two differ in length.
    """
    dues, goods = np.asarray(due, np.int64), np.asarray(good, np.bool_)
    if dues.shape != goods.shape:
        raise ValueError(f"{dues.size} due times, and {goods.size} words on whether an attempt was good")
    order = np.argsort(dues, kind="stable")
    dues, goods = dues[order], goods[order]
    at = np.flatnonzero(~goods)
    if not at.size:
        return ()
    answered = dues[goods]
    far = np.diff(dues[at]) >= APART_NS
    parted = np.diff(at) > 1  # a good one lies between
    found = []
    for part in np.split(at, np.flatnonzero(far & parted) + 1):
        first, last = int(dues[part[0]]), int(dues[part[-1]])
        after = int(np.searchsorted(answered, last, "right"))
        ended = after < len(answered)
        end = int(answered[after]) if ended else last + interval_ns
        found.append(Stretch(first, last, end, len(part), ended))
    return tuple(found)
