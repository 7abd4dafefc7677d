"""Which connections one vantage holds: to whom each goes and what it is used for. Pure; it opens nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probes.connections.target import Target, Use

IDLE_EVERY = 3
"""One connection of so many is idle."""
PER_STREAM = 1
"""Streams of each target that streams."""


class Place(msgspec.Struct, frozen=True):
    """What one connection after another fills. `half`: with which of the idle ones it is asked, 0 or 1; None for the others."""

    id: int
    target: Target
    use: Use = "busy"
    half: int | None = None


def places_of(
    targets: Sequence[Target],
    count: int,
    streams: Sequence[Target] = (),
    per_stream: int = PER_STREAM,
    idle_every: int = IDLE_EVERY,
) -> tuple[Place, ...]:
    """`count` places, to the targets in turn, then `per_stream` to each of `streams`; ids count from 0.

    Of each target every `idle_every`-th place is idle (0: none is), its halves in turn. Which of its places come first differs
    from target to target, so that few places to many targets are a third idle, too.
    """
    made = []
    for number in range(count):
        turn, which = divmod(number, len(targets))
        group, member = divmod(turn + which, idle_every) if idle_every else (0, 0)
        idle = idle_every > 0 and member == idle_every - 1
        made.append(Place(number, targets[which], "idle", group % 2) if idle else Place(number, targets[which]))
    streaming = (target for target in streams for _ in range(per_stream))
    return (*made, *(Place(count + number, target, "stream") for number, target in enumerate(streaming)))
