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

from topologies.model import Node
from topologies.oci.bundle import GATE, INIT, config_of, process_of

NODE = Node(
    "r1",
    "linux",
    "nospof/base:latest",
    cmd=("run", "--it", "with spaces"),
    binds=("/conf/a:/etc/a:ro", "/var/b:/b"),
    env={"PORT": "80", "PATH": "/opt/bin"},
)


def _config(node: Node = NODE) -> dict[str, Any]:
    made = config_of(
        node,
        "lab1",
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
    return dict(line.split("=", 1) for line in process_of(node, "lab1").env)


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
    assert environment["LAB"] == "lab1"


def test_an_init_comes_first_then_the_gate_then_the_command() -> None:
    args = process_of(NODE, "lab1").args
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
    script = process_of(replace(NODE, entrypoint=entrypoint, cmd=cmd), "lab1").args[-1]
    assert script.endswith(f"; exec {expected}")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), min_size=1, max_size=4))
def test_a_shell_gives_the_command_its_arguments_unchanged(arguments: list[str]) -> None:
    script = process_of(replace(NODE, cmd=("run", *arguments)), "lab1").args[-1]
    assert shlex.split(script.partition("; exec ")[2]) == ["run", *arguments]


def test_awkward_arguments_pass_a_real_shell() -> None:
    awkward = ["", "a b", "$HOME", "it's", "`id`", "\\", "*", "\n", "é"]
    printf = shutil.which("printf") or "printf"
    script = process_of(replace(NODE, cmd=(printf, "%s\\0", *awkward)), "lab1").args[-1]
    without_gate = script.partition("; ")[2]
    done = subprocess.run(["/bin/sh", "-c", without_gate], capture_output=True, check=True, env=dict(os.environ))
    assert done.stdout.decode().split("\0")[:-1] == awkward
