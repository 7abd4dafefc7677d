"""Records of where lost probes died, and why."""

from __future__ import annotations

from typing import Literal

import msgspec

DropSource = Literal["cut", "kernel", "handed", "counter", "silence", "answer", "none"]


class Died(msgspec.Struct, frozen=True, kw_only=True):
    """`lost` probes whose last element was `node` (empty: none saw them). `reason` as `source` says it: cut, the lab's own cut of the
    link `toward` the other node; kernel, its drop reason; handed, the node's own word; counter, one of its counters,
    where the kernel tells no single drops; silence, nothing came of them at a node that is
    dead, silent, or where such probes are answered; answer, one came, but late, corrupt or as a refusal; none, nobody knows why.
    `answer`: it was the answer that died. `words`: the reason for people, where whoever gave it has some."""

    node: str
    reason: str
    source: DropSource
    lost: int
    interface: str | None = None
    toward: str | None = None
    answer: bool = False
    words: str = ""


class WhereDied(msgspec.Struct, frozen=True, kw_only=True):
    """Every lost probe, SYNs included, by where and why it died: lost = attributed + unattributed. `note` says what was not looked
    at, where something was not."""

    lost: int
    attributed: int
    causes: tuple[Died, ...]
    note: str = ""

    @property
    def unattributed(self) -> int:
        return self.lost - self.attributed
