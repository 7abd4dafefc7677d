"""A node from which nothing came any more is silent, whatever it sent on just before and after; one that sends some on is not."""

from __future__ import annotations

from collections.abc import Collection

from scenarios.died import NO_DROPS, Judged, deaths
from scenarios.protocols import UDP
from tests.scenarios.made import EVENT, HEAL, slots, trace
from topologies.linux.sights import Sight, Sights

TO_R, ON = 10, 12  # numbers of the ends that send the probes to r, and on from there
WAYS = {TO_R: ("us", "r", "eth1"), ON: ("r", "b", "eth2")}
SILENCE = {("r", "node silent", "silence")}
UNKNOWN = {("r", "not sent on", "none")}


def _died(*lost: Collection[int]) -> set[tuple[str, str, str]]:
    """Where flows died that lost these probes at r, and none else."""
    noted, judged = {}, []
    for number, seqs in enumerate(lost):
        flow = trace(seqs, number=number)
        toward = flow.flow.sport << 16 | flow.flow.dport
        noted[Sight(number, toward, TO_R, UDP, 0)] = slots(flow.seq.tolist())
        noted[Sight(number, toward, ON, UDP, 0)] = slots(sorted(set(flow.seq.tolist()) - set(seqs)))
        judged.append(Judged(flow, int(flow.due[EVENT]), int(flow.due[HEAL]) + 1))
    found = deaths(judged, Sights(noted), WAYS.__getitem__, NO_DROPS)
    assert len(found) == sum(map(len, lost))
    return {(death.cause.node, death.cause.reason, death.cause.source) for death in found}


def test_nothing_from_a_node_while_probes_die_there_is_silence() -> None:
    assert _died(range(EVENT, HEAL), range(EVENT, HEAL)) == SILENCE


def test_one_of_those_due_together_that_still_passed_disproves_no_silence() -> None:
    assert _died(range(EVENT + 1, HEAL), range(EVENT, HEAL)) == SILENCE, "at the event"
    assert _died(range(EVENT, HEAL), range(EVENT, HEAL + 1)) == SILENCE, "at the thaw"
    assert _died(range(EVENT + 3, HEAL - 3), range(EVENT, HEAL)) == SILENCE, "what is due later may pass earlier"


def test_a_node_that_went_silent_twice_was_silent_both_times() -> None:
    twice = [*range(EVENT, EVENT + 50), *range(EVENT + 51, HEAL)]
    assert _died(twice, twice) == SILENCE


def test_a_node_that_sends_one_flow_on_and_not_another_is_not_silent() -> None:
    assert _died((), range(EVENT, HEAL)) == UNKNOWN


def test_a_node_that_loses_nearly_all_is_not_silent() -> None:
    most = [seq for seq in range(EVENT, HEAL) if seq % 8]
    assert _died(most, most, most) == UNKNOWN
