"""What stood in the path beside the fault is told, and one that did not do what was asked makes the verdict unknown."""

from __future__ import annotations

from probes.trust import trusted
from scenarios.conclude import impairment_checks
from topologies.impairment import Impairment
from topologies.linux.impair.doing import Impaired, Standing
from topologies.linux.impair.means import Means
from topologies.linux.impair.splice import WireState
from topologies.linux.wire import Drawn

STANDING = Standing("a:eth1", "b:eth1", Impairment(20_000_000), Means(sending=True, program=True, wire=True))


def test_nothing_is_said_where_nothing_was_impaired() -> None:
    assert impairment_checks([]) == []


def test_a_wire_in_user_space_is_told_and_trusted() -> None:
    (check,) = impairment_checks([Impaired(STANDING, Drawn(9), WireState(alive=True, frames=9))])
    assert check.sentence == "a:eth1 → b:eth1: delay 20 ms (by a wire in user space) was in the path."
    assert trusted([check])


def test_a_wire_that_ended_or_lost_frames_of_its_own_is_not_trusted() -> None:
    ended, full = WireState(alive=False), WireState(alive=True, dropped=3)
    checks = impairment_checks([Impaired(STANDING, Drawn(), state) for state in (ended, full)])
    assert not any(check.ok for check in checks)
    assert "has ended" in checks[0].sentence
    assert "dropped 3 frames" in checks[1].sentence
