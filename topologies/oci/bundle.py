"""A node as an OCI runtime bundle: pure, from typed topology to `config.json`. Source: OCI runtime-spec 1.1."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec

from topologies.model import Node

INIT = ("/usr/bin/tini", "-g", "--")
IDLE = ("sleep", "infinity")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Opens when the harness lets go of its lock; a node that is restarted later passes at once.
GATE = ("flock", "-s", "/run/nospof-gate", "true")

Json = dict[str, object]


class Process(msgspec.Struct, frozen=True):
    """What runs in a node."""

    args: tuple[str, ...]
    env: tuple[str, ...]


def process_of(node: Node, lab: str) -> Process:
    """The node's process: init, gate, then its entrypoint and command."""
    command = [*(node.entrypoint or ()), *(node.cmd or ())] or list(IDLE)
    script = f"{shlex.join(GATE)}; exec {shlex.join(command)}"
    env = {
        "PATH": PATH,
        "HOSTNAME": node.name,
        "CLAB_INTFS": "0",
        "CLAB_LABEL_CLAB_NODE_NAME": node.name,
        "LAB": lab,
        **node.env,
    }
    return Process((*INIT, "/bin/sh", "-c", script), tuple(f"{k}={v}" for k, v in env.items()))


def _mount(kind: str, to: str, options: Sequence[str] = ()) -> Json:
    return {"destination": to, "type": kind, "source": kind, "options": list(options)}


def _bind(source: str, to: str, *options: str) -> Json:
    return {"destination": to, "type": "bind", "source": source, "options": ["rbind", *options]}


def config_of(
    node: Node,
    lab: str,
    *,
    rootfs: Path,
    netns: Path,
    gate: Path,
    cgroup: str,
    capabilities: Sequence[str],
) -> Json:
    """`config.json` of a node. It joins an existing network namespace and asks only for capabilities that the host has."""
    process = process_of(node, lab)
    binds = []
    for bind in node.binds:
        source, to, *mode = bind.split(":")
        binds.append(_bind(source, to, *mode))
    granted = list(capabilities)
    return {
        "ociVersion": "1.0.2",
        "hostname": node.name,
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(process.args),
            "env": list(process.env),
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), granted),
        },
        "root": {"path": str(rootfs), "readonly": False},
        "mounts": [
            _mount("proc", "/proc"),
            _mount("tmpfs", "/dev", ("nosuid", "mode=755")),
            _mount("devpts", "/dev/pts", ("newinstance", "ptmxmode=0666", "mode=0620")),
            _mount("tmpfs", "/dev/shm", ("nosuid", "nodev", "mode=1777")),
            _mount("tmpfs", "/run", ("nosuid", "mode=755")),
            _mount("tmpfs", "/tmp", ("nosuid", "mode=1777")),
            _mount("sysfs", "/sys", ("nosuid", "noexec", "nodev")),
            _bind(str(gate), "/run/nospof-gate"),
            *binds,
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]
            + [{"type": "network", "path": str(netns)}],
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": True, "access": "rwm"}]},
        },
    }
