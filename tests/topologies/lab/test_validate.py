"""Our parser and containerlab's own judge files alike, as far as both know what is written in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.topologies.lab.conftest import require_containerlab
from topologies.containerlab.tool import complaints
from topologies.problems import BadInput
from topologies.source import load_topology

pytestmark = pytest.mark.lab

FILE = """\
name: validated
topology:
  defaults: {{kind: linux, image: nospof/base:latest, {defaults}}}
  nodes:
    a: {{{node}}}
    b: {{}}
  links:
{links}
"""
NODE = {
    "env: {A: b, N: 1}": True,
    "labels: {x: y}": True,
    "exec: [ls, 'sh -c true']": True,
    "sysctls: {net.ipv4.ip_forward: 1}": True,
    "cmd: sleep infinity": True,
    "entrypoint: /bin/sh": True,
    "memory: 100MB": True,
    "cpu: 0.5": True,
    "group: g": True,
    "startup-delay: 1": True,
    "stages: {create: {wait-for: [{node: b, stage: create}]}}": True,
    "healthcheck: {test: [CMD, 'true'], interval: 1}": True,
    "mgmt-ipv4: 172.20.20.9": True,
    "envs: {A: b}": False,
    "exec: {a: b}": False,
    "env: [a]": False,
    "labels: [a]": False,
    "cpu: many": False,
    "startup-delay: soon": False,
    "stages: {born: {}}": False,
    "healthcheck: [CMD, 'true']": False,
}
DEFAULTS = {"env: {B: c}": True, "network-mode: none": True, "user-name: me": False}
LINKS = {
    "    - endpoints: [a:eth1, b:eth1]": True,
    "    - {endpoints: [a:eth2, b:eth2], mtu: 1500}": True,
    "    - {type: veth, endpoints: [{node: a, interface: eth3}, {node: b, interface: eth3}]}": True,
    "    - endpoints: [a:eth4]": False,
    "    - endpoints: [a:eth5, b]": False,
    "    - {endpoints: [a:eth6, b:eth6], mtu: big}": False,
    "    - {ends: [a:eth7, b:eth7]}": False,
}


def _some(parts: dict[str, bool], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(
        st.sampled_from(sorted(parts)), min_size=least, max_size=3, unique_by=lambda text: text.partition(":")[0]
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_some(NODE), st.sampled_from(["", *DEFAULTS]), _some(LINKS, 1))
def test_a_file_is_taken_or_refused_by_both(tmp_path: Path, node: list[str], default: str, links: list[str]) -> None:
    require_containerlab()
    if default == "network-mode: none":  # ours refuses an address on a network that the node is not on
        node = [part for part in node if not part.startswith("mgmt-ipv4")]
    links = list(dict.fromkeys(links))
    path = tmp_path / "validated.clab.yml"
    path.write_text(FILE.format(defaults=default, node=", ".join(node), links="\n".join(links)))
    sound = all({**NODE, **DEFAULTS, **LINKS, "": True}[part] for part in (*node, default, *links))
    try:
        load_topology(path)
        ours = ""
    except BadInput as problems:
        ours = str(problems)
    theirs = complaints(path)
    assert (ours == "") == sound, ours
    assert (theirs == "") == sound, theirs
