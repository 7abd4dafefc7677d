"""The families of a namespace are those of which others can answer it."""

from __future__ import annotations

import os
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from topologies.linux import netns
from topologies.linux.addresses import addresses, families

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


def test_loopback_and_link_local_addresses_are_no_family(tmp_path: Path) -> None:
    path = tmp_path / "net"

    def run(*words: str) -> None:
        netns.inside(path, lambda: subprocess.run(["ip", *words], check=True))

    netns.create(path)
    try:
        run("link", "set", "lo", "up")
        run("link", "add", "one", "type", "veth", "peer", "name", "two")
        run("link", "set", "one", "up")
        run("link", "set", "two", "up")
        assert ip_address("127.0.0.1") in addresses(path)
        assert families(path) == frozenset()
        run("address", "add", "192.0.2.1/24", "dev", "one")
        assert families(path) == {4}
        run("address", "add", "2001:db8::1/64", "dev", "two", "nodad")
        assert families(path) == {4, 6}
        assert {ip_address("192.0.2.1"), ip_address("2001:db8::1")} <= set(addresses(path))
    finally:
        netns.remove(path)
