"""How an impairment is done on a host: by which part of the kernel, or by a wire of ours, and at which end. Pure.

| means | does | where |
|---|---|---|
| netem | everything | the sender's queue |
| the link's own tc program | loss, corruption, duplication | the sender's egress, or the receiver's ingress |
| tbf | rate | the sender's queue |
| a wire in user space | delay, jitter, reordering; rate where no queue sees the frames | behind either hook |

Frames that an XDP program sends pass no egress hook and no queue of its node, those that one takes no ingress hook. A frame of
the sender's own has no checksum at its egress yet, and would get one that fits whatever was flipped: corruption is the
receiver's, or comes behind a wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from topologies.impairment import Impairment
from topologies.runtime import RuntimeFailure

NETEM, TBF, TUN = "CONFIG_NET_SCH_NETEM", "CONFIG_NET_SCH_TBF", "CONFIG_TUN"
QUEUE_FRAMES = 100_000
QUEUE_NS = 100_000_000  # what may wait for a rate, in time
_TICK = 100  # parts of a second that a burst may take
_LARGEST_FRAME = 9_600


@dataclass(frozen=True, slots=True)
class Features:
    """What the host's kernel has."""

    netem: bool
    tbf: bool
    tun: bool


@dataclass(frozen=True, slots=True)
class Means:
    """`sending`: by the hook at the sender's egress, else by that at the receiver's ingress. `qdisc` are tc's words for the
    sender's queue, or none. `program`: the link's own program draws the lots. `wire`: behind a wire in user space, which keeps
    `wire_rate`."""

    sending: bool
    qdisc: tuple[str, ...] = ()
    program: bool = False
    wire: bool = False
    wire_rate: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What does it, for people."""
        program = ("a tc program",) if self.program and not self.wire else ()
        wire = ("a wire in user space",) if self.wire else ()
        return (*wire, *program, *self.qdisc[:1])


def choose(wanted: Impairment, host: Features, *, sender_xdp: bool, receiver_xdp: bool) -> Means:
    """The best means of this host for one direction of a link. `sender_xdp`: an XDP program in the sending node may send over
    it; `receiver_xdp`: one takes frames at the receiving end. Raises RuntimeFailure naming the kernel's option that is missing."""
    if sender_xdp and receiver_xdp:
        raise RuntimeFailure(
            "XDP programs send and receive at its two ends: no queue and no hook of the kernel sees every frame"
        )
    if not sender_xdp and host.netem:
        return Means(sending=True, qdisc=netem(wanted))
    lots = bool(wanted.loss or wanted.corruption or wanted.duplication)
    by_queue = bool(wanted.rate) and not sender_xdp and host.tbf
    sending = not sender_xdp and (receiver_xdp or not wanted.corruption)
    wire = wanted.held or bool(wanted.rate and not by_queue) or bool(wanted.corruption and sending)
    if wire and not host.tun:
        other = TBF if wanted.rate and not by_queue and not wanted.held else NETEM
        raise RuntimeFailure(f"{wanted}: this kernel has neither {other} nor {TUN}, of which it needs one")
    return Means(
        sending=sending,
        qdisc=tbf(wanted.rate) if by_queue else (),
        program=lots or wire,
        wire=wire,
        wire_rate=wanted.rate if wanted.rate and not by_queue else 0,
    )


def netem(wanted: Impairment) -> tuple[str, ...]:
    """tc-netem(8)'s words."""
    words = ["netem", "limit", str(QUEUE_FRAMES)]
    if wanted.held:
        words += ["delay", _microseconds(wanted.delay_ns)]
        words += [_microseconds(wanted.jitter_ns)] if wanted.jitter_ns else []
    for word, share in (
        ("loss", wanted.loss),
        ("corrupt", wanted.corruption),
        ("duplicate", wanted.duplication),
        ("reorder", wanted.reordering),
    ):
        words += [word, f"{share * 100:.9g}%"] if share else []
    words += ["rate", f"{wanted.rate}bit"] if wanted.rate else []
    return tuple(words)


def tbf(rate: int) -> tuple[str, ...]:
    """tc-tbf(8)'s words for a rate in bits per second: bursts of 10 ms, and 100 ms of frames waiting."""
    burst = max(rate // 8 // _TICK, _LARGEST_FRAME)
    limit = burst + max(rate * QUEUE_NS // 8_000_000_000, _LARGEST_FRAME)
    return ("tbf", "rate", f"{rate}bit", "burst", str(burst), "limit", str(limit))


def _microseconds(ns: int) -> str:
    return f"{ns / 1000:.3f}".rstrip("0").rstrip(".") + "us"
