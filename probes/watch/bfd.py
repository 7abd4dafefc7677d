"""BFD control packets (RFC 5880), and the changes in what an end says of its session. Knows no addresses and no names."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

PORTS = frozenset((3784, 4784))  # RFC 5881, RFC 5883
State = Literal["admin-down", "down", "init", "up"]
STATES: tuple[State, ...] = ("admin-down", "down", "init", "up")
DIAGNOSTICS = (
    "no diagnostic",
    "control detection time expired",
    "echo function failed",
    "neighbour signalled session down",
    "forwarding plane reset",
    "path down",
    "concatenated path down",
    "administratively down",
    "reverse concatenated path down",
)
_HEAD = struct.Struct("!BBBBIIIII")


@dataclass(frozen=True, slots=True)
class Control:
    """What one control packet says (section 4.1). Intervals are in µs; `diagnostic` is its number."""

    state: State
    diagnostic: int
    detect_multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx_us: int
    required_min_rx_us: int
    poll: bool = False
    final: bool = False

    @property
    def reason(self) -> str:
        known = self.diagnostic < len(DIAGNOSTICS)
        return DIAGNOSTICS[self.diagnostic] if known else f"diagnostic {self.diagnostic}"


def parse(payload: bytes) -> Control:
    """Raises ValueError for what a receiver must discard (section 6.8.6), and says why."""
    if len(payload) < _HEAD.size:
        raise ValueError(f"BFD: {len(payload)} bytes")
    first, second, multiplier, length, mine, yours, tx, rx, _echo = _HEAD.unpack_from(payload)
    authenticated = second & 4
    if first >> 5 != 1:
        raise ValueError(f"BFD: version {first >> 5}")
    if not (26 if authenticated else 24) <= length <= len(payload):
        raise ValueError(f"BFD: length {length} in {len(payload)} bytes")
    if not multiplier or not mine or second & 1:
        raise ValueError("BFD: detect multiplier 0, discriminator 0 or multipoint set")
    state = STATES[second >> 6]
    return Control(state, first & 31, multiplier, mine, yours, tx, rx, bool(second & 32), bool(second & 16))


class Sessions:
    """Remembers what each end said last, so that only changes are told."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[State, int]] = {}

    def changed(self, end: Hashable, control: Control) -> bool:
        """Whether `end` says something new: another state, or another reason for not being up."""
        said = control.state, 0 if control.state == "up" else control.diagnostic
        before = self._last.get(end)
        self._last[end] = said
        return said != before
