"""What the tests of drops share: small labs, a detector on the wire of three namespaces, and a way to read what must come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from probes.drops.kernel import KernelDrop, KernelDrops
from scenarios.dropped import kernel_drops
from tests.probes.conftest import wait_until
from tests.probes.drops.sending import Sender
from tests.probes.wire import CLIENT, CLIENT6, Wire, ip
from tests.topologies.lab.conftest import describe, runtime, up

__all__ = ["describe", "runtime", "up"]
SENTINEL_PORT, SENTINEL_FLOW = 9, 0xFFFF


class Reading:
    """Drops as they are read; the ring is in the order of their times."""

    def __init__(self, drops: KernelDrops) -> None:
        self.drops, self.found = drops, list[KernelDrop]()

    def of(self, probe: int | None) -> list[KernelDrop]:
        self.found += self.drops.read()
        return [drop for drop in self.found if drop.probe == probe]

    def await_seqs(self, probe: int, seqs: set[int], deadline_s: float = 8.0) -> list[KernelDrop]:
        """All drops of a flow once these probes of it are among them; none has two drops, and no other is dropped."""
        wait_until(lambda: {d.seq for d in self.of(probe)} >= seqs, f"drops of flow {probe}: {seqs}", deadline_s)
        found = self.of(probe)
        assert sorted(d.seq or 0 for d in found) == sorted(seqs)
        return found

    def await_carrier_loss(self, probe: int, send: Callable[[int], None], where: tuple[str, str]) -> KernelDrop:
        """Sends until a drop says that there is no carrier. The kernel notices a little after the other end went down; until
        then it drops there for that reason."""
        numbers = itertools.count()

        def noticed() -> bool:
            send(next(numbers))
            return any(d.words == "link without carrier" for d in self.of(probe))

        wait_until(noticed, "a drop for want of carrier", deadline_s=30)
        found = self.of(probe)
        assert {(d.node, d.interface) for d in found} == {where}
        assert {d.words for d in found} <= {"link without carrier", "other end of the link not up"}
        return found[-1]

    def until_sentinel(self, send_one_that_is_dropped: Callable[[], None]) -> list[KernelDrop]:
        """What was dropped before something that surely is, without that."""
        send_one_that_is_dropped()
        wait_until(lambda: bool(self.of(SENTINEL_FLOW)), "the drop of the sentinel")
        return [drop for drop in self.found if drop.probe != SENTINEL_FLOW]


@pytest.fixture
def sent(lab: Wire) -> Iterator[Sender]:
    """A client on the wire, both families, whose neighbours are all known and stay so."""
    known = [("c", "eth1", "r", "c", ("10.9.1.1", "fd09:1::1")), ("r", "c", "c", "eth1", (CLIENT, CLIENT6))]
    known += [
        ("r", "s", "s", "eth1", ("10.9.2.2", "fd09:2::2")),
        ("s", "eth1", "r", "s", ("10.9.2.1", "fd09:2::1")),
    ]
    for node, interface, peer, peers, addresses in known:
        lines = (
            f"neighbour replace {address} lladdr {lab.mac(peer, peers)} dev {interface} nud permanent"
            for address in addresses
        )
        ip(*lines, node=f"{lab.name}-{node}")
    with Sender(lab.netns("c")) as sender:
        yield sender


@pytest.fixture
def reading(lab: Wire) -> Iterator[Reading]:
    with kernel_drops({node: lab.netns(node) for node in "crs"}) as drops:
        assert drops.unavailable == ""
        yield Reading(drops)
        assert drops.lost == 0


@pytest.fixture
def sentinel(sent: Sender) -> Callable[[], None]:
    return lambda: sent.probe(SENTINEL_FLOW, 0, to=("10.9.2.2", SENTINEL_PORT))
