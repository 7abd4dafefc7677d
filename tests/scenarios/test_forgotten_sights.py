"""Of a probe that was noted too long ago nobody says where it died, unless the kernel or a cut link does."""

from __future__ import annotations

import pytest

from probes.attribution.reasons import Told
from scenarios.died import FORGOTTEN, Drops, Judged, deaths
from scenarios.protocols import UDP
from tests.scenarios.made import EVENT, flow, slots
from topologies.linux.sights import CUT, PER_SLOT, SLOTS, Sight, Sights

FIRST, SECOND = 10, 12  # numbers of the ends that send the probes on
WAYS = {FIRST: ("us", "r", "eth1"), SECOND: ("r", "b", "eth2")}
LOST = range(EVENT, EVENT + 5)
TRACE = flow(LOST).trace
TOWARD = TRACE.flow.sport << 16 | TRACE.flow.dport


NEWER = range(0, EVENT + 32 + SLOTS * PER_SLOT)
"""What passes until the probes lost after the event are overwritten."""


def _died(*sights: tuple[int, int, range], told: bool = False) -> set[tuple[str, str, str]]:
    noted = {Sight(0, TOWARD, sender, UDP, kind): slots(seqs) for sender, kind, seqs in sights}
    kernel = {("us", 0, seq): (Told("b", "eth1", "NO_SOCKET"),) for seq in LOST} if told else {}
    judged = Judged(TRACE, int(TRACE.due[0]), int(TRACE.due[-1]) + 1)
    causes = [death.cause for death in deaths([judged], Sights(noted), WAYS.__getitem__, Drops(told=kernel))]
    assert len(causes) == len(LOST)
    return {(c.node, c.reason, c.source) for c in causes}


def test_while_it_is_noted_the_last_that_saw_it_is_named() -> None:
    assert _died((FIRST, 0, range(200)), (SECOND, 0, range(EVENT))) == {("r", "not sent on", "none")}


@pytest.mark.parametrize("second", [NEWER, range(EVENT + 5)], ids=["both overwritten", "the first overwritten"])
def test_what_was_overwritten_is_not_taken_for_not_seen(second: range) -> None:
    sights = (FIRST, 0, NEWER), (SECOND, 0, second)
    assert _died(*sights) == {("", FORGOTTEN, "none")}
    assert _died(*sights, told=True) == {("b", "NO_SOCKET", "kernel")}


def test_a_link_that_was_cut_is_known_for_it_however_long_ago() -> None:
    assert _died((FIRST, 0, NEWER), (SECOND, CUT, range(EVENT, EVENT + 5))) == {("r", "link cut", "cut")}
