"""A link that is cut silently keeps its carrier, one that loses it is noticed at both ends, and each comes back as it was."""

from __future__ import annotations

import pytest

from tests.topologies.lab.conftest import CHAIN, Describe, Up, both_runtimes
from tests.topologies.lab.host import ping
from topologies.model import Link
from topologies.runtimes import LinuxLab

pytestmark = [pytest.mark.lab, both_runtimes]
FAR = "10.0.2.1"


@pytest.fixture
def chain(describe: Describe, up: Up) -> LinuxLab:
    """a – r – b, with static routes only."""
    lab = up(describe(CHAIN))
    assert ping(lab, "a", FAR, count=3)
    return lab


def _link(lab: LinuxLab, a: str, b: str) -> Link:
    return next(x for x in lab.topology.links_of(a) if x.end_beyond(a).node == b)


def test_a_silent_cut_lets_nothing_through_and_keeps_carrier(chain: LinuxLab) -> None:
    link = _link(chain, "a", "r")
    before = chain.snapshots(["a", "r", "b"])
    chain.cut_link(link)
    frames = chain.frames_over(link)
    assert not ping(chain, "a", "10.0.1.2", count=2)
    assert not ping(chain, "r", "10.0.1.1", count=2)
    assert chain.carriers(link) == (True, True)
    assert chain.snapshots(["a", "r", "b"]) == before
    assert ping(chain, "r", FAR), "the other link is untouched"
    assert chain.frames_over(link) == frames
    chain.mend_link(link)
    assert ping(chain, "a", FAR, count=3)


def test_a_cut_with_carrier_loss_is_seen_at_both_ends_and_mended_whole(chain: LinuxLab) -> None:
    for number in range(2):
        link = _link(chain, *(("a", "r") if number == 0 else ("r", "b")))
        before = chain.snapshots(["a", "r", "b"])
        instant = chain.drop_carrier(link)
        assert instant.before_ns <= instant.after_ns
        assert chain.carriers(link) == (False, False)
        assert not ping(chain, "a", FAR, count=1)
        chain.raise_carrier(link)
        assert chain.carriers(link) == (True, True)
        assert chain.snapshots(["a", "r", "b"]) == before, "static routes of the end that was down are back"
        assert ping(chain, "a", FAR, count=3)


def test_a_signal_reaches_the_processes_of_that_name_and_no_others(chain: LinuxLab) -> None:
    (pid,) = chain.processes("a", "sleep")
    assert chain.processes("a", "envoy") == ()
    assert chain.signal("a", "sleep", 0) == (pid,)
    assert chain.signal("a", "envoy", 0) == ()
