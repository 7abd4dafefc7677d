"""A node's OCI bundle: what its file says is what runs, in the namespaces and with the rights that the lab has."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topologies.model import Endpoint, Link, Node, Topology
from topologies.oci.bundle import GATE, INIT, Process, config_of, process_of

NODE = Node(
    "r1",
    "linux",
    "nospof/base:latest",
    cmd=("run", "--it", "with spaces"),
    binds=("/conf/a:/etc/a:ro", "/var/b:/b"),
    env={"PORT": "80", "PATH": "/opt/bin"},
)


def _process(node: Node = NODE) -> Process:
    peer = Node("r2", "linux", "nospof/base:latest")
    links = tuple(Link((Endpoint("r1", f"eth{n}"), Endpoint("r2", f"eth{n}"))) for n in (1, 2))
    return process_of(Topology("lab1", Path("/labs/lab1.clab.yml"), "clab", {"r1": node, "r2": peer}, links), node)


def _config(node: Node = NODE) -> dict[str, Any]:
    made = config_of(
        node,
        _process(node),
        rootfs=Path("/labs/lab1/nodes/r1/rootfs"),
        netns=Path("/labs/lab1/netns/r1"),
        gate=Path("/labs/lab1/gate"),
        cgroup="/nospof/lab1/r1",
        capabilities=["CAP_NET_ADMIN", "CAP_BPF"],
    )
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(made))
    return decoded


def _mounts(node: Node = NODE) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in _config(node)["mounts"]}


def _environment(node: Node) -> dict[str, str]:
    return dict(line.split("=", 1) for line in _process(node).env)


def test_a_node_joins_its_network_namespace_and_has_every_other_one_of_its_own() -> None:
    namespaces = {entry["type"]: entry.get("path") for entry in _config()["linux"]["namespaces"]}
    assert namespaces.pop("network") == "/labs/lab1/netns/r1"
    assert namespaces == dict.fromkeys(["pid", "ipc", "uts", "mount"])
    assert _config()["linux"]["cgroupsPath"] == "/nospof/lab1/r1"
    assert _config()["root"]["path"] == "/labs/lab1/nodes/r1/rootfs"
    assert _config()["hostname"] == "r1"


def test_no_capability_is_asked_for_that_was_not_granted() -> None:
    assert {tuple(granted) for granted in _config()["process"]["capabilities"].values()} == {
        ("CAP_NET_ADMIN", "CAP_BPF")
    }


def test_binds_keep_their_mode_and_come_after_what_they_may_cover() -> None:
    mounts = _mounts()
    assert (mounts["/etc/a"]["source"], mounts["/etc/a"]["options"]) == ("/conf/a", ["rbind", "ro"])
    assert (mounts["/b"]["source"], mounts["/b"]["options"]) == ("/var/b", ["rbind"])
    assert list(mounts)[-2:] == ["/etc/a", "/b"]
    covering = replace(NODE, binds=("/host/tmp:/tmp",))
    assert _config(covering)["mounts"][-1]["source"] == "/host/tmp"


def test_the_nodes_own_environment_wins() -> None:
    environment = _environment(NODE)
    assert environment["PATH"] == "/opt/bin"
    assert environment["PORT"] == "80"
    assert environment["HOSTNAME"] == environment["CLAB_LABEL_CLAB_NODE_NAME"] == "r1"


def test_a_node_is_told_how_many_links_it_has_who_it_is_and_its_labels() -> None:
    environment = _environment(replace(NODE, labels={"nospof.role": "l4"}, group="core"))
    assert environment["CLAB_INTFS"] == "2"
    told = {
        name.removeprefix("CLAB_LABEL_"): text for name, text in environment.items() if name.startswith("CLAB_LABEL_")
    }
    assert told == {
        "NOSPOF_ROLE": "l4",
        "CONTAINERLAB": "lab1",
        "CLAB_NODE_NAME": "r1",
        "CLAB_NODE_LONGNAME": "clab-lab1-r1",
        "CLAB_NODE_KIND": "linux",
        "CLAB_NODE_GROUP": "core",
        "CLAB_TOPO_FILE": "/labs/lab1.clab.yml",
    }


def test_an_init_comes_first_then_the_gate_then_the_command() -> None:
    args = _process().args
    assert args[: len(INIT)] == INIT
    assert args[-1] == f"{shlex.join(GATE)}; exec run --it 'with spaces'"


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "expected"),
    [
        (None, None, "sleep infinity"),
        (("init",), None, "init"),
        (("init", "-x"), ("arg",), "init -x arg"),
        (None, ("arg",), "arg"),
    ],
)
def test_entrypoint_and_command_are_joined_as_containers_do(
    entrypoint: tuple[str, ...] | None, cmd: tuple[str, ...] | None, expected: str
) -> None:
    script = _process(replace(NODE, entrypoint=entrypoint, cmd=cmd)).args[-1]
    assert script.endswith(f"; exec {expected}")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), min_size=1, max_size=4))
def test_a_shell_gives_the_command_its_arguments_unchanged(arguments: list[str]) -> None:
    script = _process(replace(NODE, cmd=("run", *arguments))).args[-1]
    assert shlex.split(script.partition("; exec ")[2]) == ["run", *arguments]


def test_awkward_arguments_pass_a_real_shell() -> None:
    awkward = ["", "a b", "$HOME", "it's", "`id`", "\\", "*", "\n", "é"]
    printf = shutil.which("printf") or "printf"
    script = _process(replace(NODE, cmd=(printf, "%s\\0", *awkward))).args[-1]
    without_gate = script.partition("; ")[2]
    done = subprocess.run(["/bin/sh", "-c", without_gate], capture_output=True, check=True, env=dict(os.environ))
    assert done.stdout.decode().split("\0")[:-1] == awkward
