"""Labs are closed: two with the same nodes, addresses and interface indices do not disturb each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.topologies.lab.conftest import CHAIN, PAIR, Describe, Up
from tests.topologies.lab.frames import send_connected
from tests.topologies.lab.host import ping, traces
from topologies.oci.deploy import deploy
from topologies.oci.destroy import destroy

pytestmark = pytest.mark.lab
FAR = "10.0.2.1"


def test_what_happens_in_one_lab_does_not_happen_in_its_twin(describe: Describe, up: Up) -> None:
    one, twin = up(describe(CHAIN)), up(describe(CHAIN))
    assert one.numbers == twin.numbers
    assert ping(one, "a", FAR)
    assert ping(twin, "a", FAR)
    before = twin.snapshots(["a", "r", "b"])
    pids = {node: twin.pids(node) for node in before}
    cut = twin.wire.cut_frames(twin.numbers["r"])

    twin.tap(["r"])
    send_connected(one.netns("a"), ("10.0.1.1", 5000), (FAR, 7), each=10)
    assert twin.wire.tapped() == {}
    one.kill(["r"])
    assert not ping(one, "a", FAR)
    assert ping(twin, "a", FAR, count=3)
    one.restart(["r"])
    one.kill(["a", "b"])
    destroy(one.topology.name)

    assert ping(twin, "a", FAR, count=3)
    assert twin.snapshots(["a", "r", "b"]) == before
    assert {node: twin.pids(node) for node in before} == pids
    assert twin.wire.cut_frames(twin.numbers["r"]) == cut


def test_labs_can_come_and_go_at_the_same_time(describe: Describe) -> None:
    topologies = [describe(PAIR) for _ in range(3)]

    def live(number: int) -> bool:
        lab = deploy(topologies[number]).lab
        answered = ping(lab, "a", "10.0.0.2")
        lab.close()
        destroy(lab.topology.name)
        return answered

    with ThreadPoolExecutor(len(topologies)) as pool:
        assert list(pool.map(live, range(len(topologies)))) == [True] * len(topologies)
    assert [trace for topology in topologies for trace in traces(topology)] == []
