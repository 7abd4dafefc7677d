"""A small lab that loses large packets without a word: `steady` fails and names them, and the scenarios are played all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scenarios.runs import run_in_peace
from tests.scenarios.stack import write_stack

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

NARROW = ('"way1:eth1"], mtu: 1500', '"way2:eth1"], mtu: 1500')
SAYS_NOTHING = """\
        - nft add table ip quiet
        - nft add chain ip quiet out '{ type filter hook output priority 0 ; }'
        - nft add rule ip quiet out icmp type destination-unreachable drop
"""
"""In the node before the narrow links, which would tell the client of them (RFC 1191)."""


def test_full_size_packets_that_are_lost_fail_steady_and_the_scenario_is_played(tmp_path: Path) -> None:
    topology = write_stack(tmp_path, f"lrg{os.getpid()}")
    text = topology.read_text(encoding="utf-8")
    for link in NARROW:
        assert link in text
        text = text.replace(link, link.replace("1500", "1300"))
    last = "        - ip route add 203.0.113.0/24 nexthop via 10.1.1.2 nexthop via 10.1.2.2\n"
    assert last in text
    topology.write_text(text.replace(last, last + SAYS_NOTHING), encoding="utf-8")
    ran = run_in_peace(topology, tmp_path, "withdraw-l4", "--target", "way1")
    assert ran.code == 1, ran.said
    by_name = {s["name"]: s for s in ran.scenarios}
    assert by_name.keys() == {"steady", "withdraw-l4"}
    assert by_name["steady"]["verdict"] == "fail"
    for service, vip in (("web", "203.0.113.10"), ("echo", "203.0.113.20")):
        said = (
            f"{service} at {vip} answers nobody's 1,400-byte packets while it answers small ones (client: TimeoutError"
        )
        assert said in by_name["steady"]["reason"]
        assert any(f"1,400-byte packets to {vip}, which nobody has an answer to" in line for line in ran.said), ran.said
    assert by_name["withdraw-l4"]["verdict"] == "pass", by_name["withdraw-l4"]["reason"]
    assert by_name["withdraw-l4"]["touched"] >= 10
