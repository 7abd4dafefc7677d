"""What must hold of the way by the other router: taken as soon as the uplink is gone, over both families, and never a loop."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.reference.conftest import ROOT
from tests.reference.network import Network, namespaces
from tests.reference.tier import until
from topologies.linux.links import restore_static, save_static

SIOCGIFFLAGS, IFF_RUNNING = 0x8913, 0x40
ABOVE = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8:a::1"}
BOTH = ("one", "two")
MANY = 20


@pytest.fixture
def built() -> Iterator[Network]:
    """below - one - above, and two between one and above, too: a square whose lower half hangs on `one`."""
    with namespaces("above", *BOTH, "below") as network:
        ends = [("one", "eth1", "above", "to_one"), ("two", "eth1", "above", "to_two"), ("one", "eth7", "two", "eth7")]
        for node, interface, peer, other in [*ends, ("one", "eth2", "below", "eth1")]:
            network.ip(node, f"link add {interface} type veth peer name {other} netns {network.full(peer)}")
            network.ip(node, f"link set {interface} up")
            network.ip(peer, f"link set {other} up")
        for number, node in enumerate(BOTH, start=1):
            network.sysctl(node, "ipv4/ip_forward", "1")
            network.sysctl(node, "ipv6/conf/all/forwarding", "1")
            for scope in ("all", "eth7", "eth1"):
                network.sysctl(node, f"ipv4/conf/{scope}/rp_filter", "0")
            network.ip(
                node, f"address add 10.0.{number}.1/24 dev eth1", f"address add 2001:db8:{number}::1/64 dev eth1"
            )
            network.ip(node, *(f"route add {to} via 10.0.{number}.2" for to in ("198.51.100.1",)))
            network.ip(node, f"route add 2001:db8:a::1 via 2001:db8:{number}::2")
            network.ip("above", f"address add 10.0.{number}.2/24 dev to_{node}")
            network.ip("above", f"address add 2001:db8:{number}::2/64 dev to_{node}")
        network.ip(
            "above", "link set lo up", "address add 198.51.100.1/32 dev lo", "address add 2001:db8:a::1/128 dev lo"
        )
        network.ip("one", "address add 10.0.9.1/24 dev eth2", "address add 2001:db8:9::1/64 dev eth2")
        network.ip("below", "address add 10.0.9.2/24 dev eth1", "address add 2001:db8:9::2/64 dev eth1")
        network.ip("below", "route add default via 10.0.9.1", "route add default via 2001:db8:9::1")
        for node, own, other in (("one", "1", "2"), ("two", "2", "1")):
            for _ in range(2):  # a router that starts again finds what it made the first time
                backup = [
                    str(ROOT / "probes/reference/node/backup"),
                    "eth7",
                    f"2001:db8:f::{own}",
                    f"2001:db8:f::{other}",
                ]
                assert network.start(node, *backup).wait() == 0
        # Carrier may be told late where both ends of a link have the same index.
        asyncio.run(until(lambda: all(_arrives(network, family) for family in ABOVE), "a way up"))
        asyncio.run(until(lambda: _sided(network), "carrier between the two"))
        yield network


def _arrives(network: Network, family: socket.AddressFamily) -> bool:
    """Whether a datagram from below reaches the address above; it need not be answered."""
    with (
        network.socket("above", socket.SOCK_DGRAM, family) as above,
        network.socket("below", socket.SOCK_DGRAM, family) as below,
    ):
        above.bind((ABOVE[family], 7))
        above.settimeout(1)
        below.sendto(b"up", (ABOVE[family], 7))
        with suppress(TimeoutError):
            return above.recv(16) == b"up"
    return False


def _sided(network: Network) -> bool:
    """Whether the link between the two has carrier at both."""
    for node in BOTH:
        with network.entered(node), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            flags = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16s24x", b"eth7"))
            if not struct.unpack_from("16xH", flags)[0] & IFF_RUNNING:
                return False
    return True


def _frames_aside(network: Network) -> int:
    with network.entered("one"):
        return sum(
            int(Path("/proc/thread-self/net/dev").read_text().partition("eth7:")[2].split()[at]) for at in (1, 9)
        )


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_lost_its_uplink_goes_by_the_other_router(built: Network, family: socket.AddressFamily) -> None:
    before = _frames_aside(built)
    assert all(_arrives(built, family) for _ in range(MANY))
    # Neighbours tell each other something now and then, whoever forwards.
    assert _frames_aside(built) - before < MANY, "with an uplink nothing goes by the other router"
    built.ip("one", "link set eth1 down")
    before = _frames_aside(built)
    assert all(_arrives(built, family) for _ in range(MANY))
    assert _frames_aside(built) - before >= MANY, "without, all of it does"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_two_routers_without_uplinks_do_not_pass_a_packet_to_and_fro(
    built: Network, family: socket.AddressFamily
) -> None:
    built.ip("one", "link set eth1 down")
    assert _arrives(built, family), "neighbours know each other before the count begins"
    built.ip("two", "link set eth1 down")
    before = _frames_aside(built)
    assert not _arrives(built, family)
    assert 0 < _frames_aside(built) - before < 16, "a loop would pass it 60 times"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_way_is_there_again_after_a_cut_of_the_link_between_them(
    built: Network, family: socket.AddressFamily
) -> None:
    one = Path("/run/netns", built.full("one"))
    saved = save_static(one)
    built.ip("one", "link set eth7 down", "link set eth7 up")
    restore_static(one, saved)
    asyncio.run(until(lambda: _sided(built), "carrier between the two"))
    built.ip("one", "link set eth1 down")
    assert _arrives(built, family)
