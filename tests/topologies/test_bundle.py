"""A node's OCI bundle: what its file says is what runs, in the namespaces and with the rights that the lab has."""

from __future__ import annotations

import fcntl
import json
import select
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from topologies.image.store import ImageConfig
from topologies.model import Endpoint, Link, Node, Topology
from topologies.oci.bundle import GATE, INIT, OURS, Process, config_of, process_of
from topologies.oci.containers import init_program
from topologies.oci.users import User, look_up
from topologies.runtime import RuntimeFailure

NODE = Node(
    "r1",
    "linux",
    "nospof/base:latest",
    cmd=("run", "--it", "with spaces"),
    binds=("/conf/a:/etc/a:ro", "/var/b:/b"),
    env={"PORT": "80", "PATH": "/opt/bin"},
)


def _process(node: Node = NODE, image: ImageConfig = OURS) -> Process:
    peer = Node("r2", "linux", "nospof/base:latest")
    links = tuple(Link((Endpoint("r1", f"eth{n}"), Endpoint("r2", f"eth{n}"))) for n in (1, 2))
    return process_of(
        Topology("lab1", Path("/labs/lab1.clab.yml"), "clab", {"r1": node, "r2": peer}, links), node, image
    )


def _config(node: Node = NODE) -> dict[str, Any]:
    made = config_of(
        node,
        _process(node),
        rootfs=Path("/labs/lab1/nodes/r1/rootfs"),
        netns=Path("/labs/lab1/netns/r1"),
        gate=Path("/labs/lab1/gate"),
        init=Path("/cache/init"),
        cgroup="/nospof/lab1/r1",
        capabilities=["NET_ADMIN", "BPF"],
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
    assert _process().args == (INIT, GATE, "run", "--it", "with spaces")
    mounts = _mounts()
    assert (mounts[INIT]["source"], mounts[INIT]["options"]) == ("/cache/init", ["rbind", "ro"])
    assert mounts[GATE]["source"] == "/labs/lab1/gate"


BROUGHT = ImageConfig(("serve",), ("--all",), ("PORT=1", "MODE=loud"), "www", "/srv")


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "image", "expected"),
    [
        (None, None, OURS, "sleep infinity"),
        (("init",), None, OURS, "init"),
        (("init", "-x"), ("arg",), OURS, "init -x arg"),
        (None, ("arg",), OURS, "arg"),
        (None, None, BROUGHT, "serve --all"),
        (None, ("--one",), BROUGHT, "serve --one"),
        (("other",), None, BROUGHT, "other"),
        (("other",), ("arg",), BROUGHT, "other arg"),
    ],
)
def test_entrypoint_and_command_are_joined_as_containers_do(
    entrypoint: tuple[str, ...] | None, cmd: tuple[str, ...] | None, image: ImageConfig, expected: str
) -> None:
    made = _process(replace(NODE, entrypoint=entrypoint, cmd=cmd), image)
    assert " ".join(made.args) == f"{INIT} {GATE} {expected}"


def test_the_image_s_environment_comes_before_the_node_s_and_its_directory_is_where_it_starts() -> None:
    made = _process(NODE, BROUGHT)
    environment = dict(line.split("=", 1) for line in made.env)
    assert (environment["PORT"], environment["MODE"]) == ("80", "loud")
    assert made.directory == "/srv"


def test_a_user_is_looked_up_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nwww:x:33:34::/:\n")
    (tmp_path / "etc/group").write_text("www:x:34:\nextra:x:50:bob,www\n")
    layers = [tmp_path / "upper", tmp_path]
    assert look_up("", layers) == User(0, 0)
    assert look_up("www", layers) == look_up("33", layers) == User(33, 34, (50,))
    assert look_up("www:extra", layers) == User(33, 50)
    assert look_up("77", layers) == User(77, 0)
    assert look_up("77:78", layers) == User(77, 78)
    with pytest.raises(RuntimeFailure, match="has no such user"):
        look_up("nobody-here", layers)
    with pytest.raises(RuntimeFailure, match="has no group 'none'"):
        look_up("www:none", layers)


def test_an_init_gives_the_command_its_arguments_unchanged_and_ends_as_it_does(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    awkward = ["", "a b", "$HOME", "it's", "`id`", "\\", "*", "\n", "é"]
    printf = shutil.which("printf") or "printf"
    done = subprocess.run([init_program(), gate, printf, "%s\\0", *awkward], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == awkward
    for script, code in (("exit 7", 7), ("kill -9 $$", 128 + 9)):
        assert subprocess.run([init_program(), gate, "sh", "-c", script], check=False).returncode == code
    missing = subprocess.run([init_program(), gate, "/no/such"], check=False, capture_output=True, text=True)
    assert (missing.returncode, missing.stderr) == (127, "/no/such: No such file or directory\n")


def test_an_init_waits_for_the_gate_and_passes_signals_on(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        script = "trap 'echo heard; exit 3' TERM; echo began; while :; do sleep 0.01; done"
        with subprocess.Popen([init_program(), gate, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 0.2)[0] == [], "the gate is shut"
            fcntl.flock(held, fcntl.LOCK_UN)
            assert process.stdout.readline() == "began\n"
            process.terminate()
            assert process.stdout.readline() == "heard\n"
            assert process.wait(timeout=5) == 3
