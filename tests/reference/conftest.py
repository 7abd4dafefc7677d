"""What the tests of the reference share: its packages on the path as in a node, compiled objects, a configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "probes/reference"))  # as PYTHONPATH=/opt/reference in a node

from l4.config import L4Config, parse_config  # noqa: E402
from l4.dataplane import DataPlane  # noqa: E402

from tests.reference.front import Front, serving  # noqa: E402
from tests.reference.network import namespaces  # noqa: E402
from topologies.image.native import compile_bpf, compile_program  # noqa: E402

L4_JSON = {
    "name": "eu-l4-1",
    "loopback": "10.2.3.1",
    "interfaces": ["eth1"],
    "asn": 65203,
    "services": [
        {
            "name": "web",
            "vip": ["203.0.113.10", "2001:db8:f::10"],
            "port": 80,
            "protocol": "tcp",
            "check": {"kind": "http", "path": "/", "host": "web.test"},
        },
        {
            "name": "echo",
            "vip": ["203.0.113.20", "2001:db8:f::20"],
            "port": 7,
            "protocol": "udp",
            "check": {"kind": "udp"},
        },
    ],
    "backends": [{"name": "eu-l7-1", "address": "10.2.4.1"}, {"name": "eu-l7-2", "address": "10.2.4.2"}],
    "check": {"interval_ms": 20, "timeout_ms": 100, "fall": 3, "rise": 2},
}


@pytest.fixture
def config() -> L4Config:
    return parse_config(L4_JSON)


@pytest.fixture(scope="session")
def balance_object() -> Path:
    return compile_bpf(ROOT / "probes/reference/l4/lb.bpf.c")


@pytest.fixture(scope="session")
def decap_object() -> Path:
    return compile_bpf(ROOT / "probes/reference/l7/decap.bpf.c")


@pytest.fixture(scope="session")
def echo_program() -> Path:
    return compile_program(ROOT / "probes/reference/l7/echo.c")


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A real Envoy before real applications; the authority of its certificate is `ca.pem` in `tmp_path`."""
    with serving(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def envoy(front: Front) -> int:
    """Its port in the clear."""
    return front.port


@pytest.fixture
def plane(config: L4Config, balance_object: Path) -> Iterator[DataPlane]:
    """A loaded program in a namespace of its own, whose routes to the backends go over two IPv6 next hops."""
    with namespaces("l4") as network:
        network.ip(
            "l4",
            "link set lo up",
            "link add eth1 type veth peer name peer1",
            "link add eth2 type veth peer name peer2",
            *(f"link set {name} up" for name in ("eth1", "peer1", "eth2", "peer2")),
            "neighbour add fe80::1 lladdr 02:00:00:00:01:01 dev eth1 nud permanent",
            "neighbour add fe80::2 lladdr 02:00:00:00:01:02 dev eth2 nud permanent",
            "route add 10.2.4.0/24 nexthop via inet6 fe80::1 dev eth1 nexthop via inet6 fe80::2 dev eth2",
        )
        network.sysctl("l4", "ipv4/ip_forward", "1")
        network.sysctl("l4", "ipv4/fib_multipath_hash_policy", "1")
        with network.entered("l4"), DataPlane(config, balance_object) as built:
            yield built
