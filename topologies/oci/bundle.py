"""A node as an OCI runtime bundle: pure, from typed topology to `config.json`. Source: OCI runtime-spec 1.1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from topologies.capabilities import PREFIX
from topologies.image.store import ImageConfig
from topologies.limits import Limits
from topologies.model import Node, Topology
from topologies.oci.emptied import EMPTIED
from topologies.oci.users import ROOT, User

GATE, INIT = "/run/nospof-gate", "/run/nospof-init"
"""In the node: a file whose lock the harness holds until the lab is whole, and the program that waits for it (init.c)."""
IDLE = ("sleep", "infinity")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OURS = ImageConfig()
CFS_PERIOD_US = 100_000  # as containerlab has it

Json = dict[str, object]


class Process(msgspec.Struct, frozen=True):
    """What runs in a node."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    directory: str = "/"


def environment_of(topology: Topology, node: Node) -> dict[str, str]:
    """What containerlab tells a node: how many links it has, its labels, and who it is."""
    told = {
        **node.labels,
        "containerlab": topology.name,
        "clab-node-name": node.name,
        "clab-node-longname": topology.container_name(node.name),
        "clab-node-kind": node.kind,
        "clab-node-group": node.group or "",
        "clab-topo-file": str(topology.path.resolve()),
    }
    labels = {f"CLAB_LABEL_{re.sub('[^A-Za-z0-9_]', '_', name).upper()}": text for name, text in told.items()}
    return {"CLAB_INTFS": str(len(topology.links_of(node.name))), **labels, **node.env}


def process_of(topology: Topology, node: Node, image: ImageConfig = OURS) -> Process:
    """The node's process: init, then entrypoint and command, the node's own before the image's. As with Docker, an entrypoint
    of the node's makes the image's command void."""
    entrypoint = image.entrypoint if node.entrypoint is None else node.entrypoint
    otherwise = image.cmd if node.entrypoint is None else ()
    command = [*entrypoint, *(otherwise if node.cmd is None else node.cmd)] or list(IDLE)
    of_image = dict(line.partition("=")[::2] for line in image.env)
    env = {"PATH": PATH, "HOSTNAME": node.name, **of_image, **environment_of(topology, node)}
    return Process((INIT, GATE, *command), tuple(f"{k}={v}" for k, v in env.items()), image.directory)


def _mount(kind: str, to: str, options: Sequence[str] = ()) -> Json:
    return {"destination": to, "type": kind, "source": kind, "options": list(options)}


def _bind(source: str, to: str, *options: str) -> Json:
    return {"destination": to, "type": "bind", "source": source, "options": ["rbind", *options]}


def _shm_size(limits: Limits) -> tuple[str, ...]:
    return () if limits.shm is None else (f"size={limits.shm}",)


def _resources(limits: Limits) -> Json:
    """Every device, and limits as a container runtime has them; what is not limited is left out."""
    found: Json = {"devices": [{"allow": True, "access": "rwm"}]}
    if limits.memory is not None:
        found["memory"] = {"limit": limits.memory}
    cpu: Json = {}
    if limits.cpus is not None:
        cpu |= {"quota": int(limits.cpus * CFS_PERIOD_US), "period": CFS_PERIOD_US}
    if limits.cpu_set is not None:
        cpu["cpus"] = limits.cpu_set
    if cpu:
        found["cpu"] = cpu
    return found


def config_of(
    node: Node,
    process: Process,
    *,
    rootfs: Path,
    netns: Path,
    gate: Path,
    init: Path,
    cgroup: str,
    capabilities: Sequence[str],
    user: User = ROOT,
    fresh: Mapping[str, Sequence[str]] = EMPTIED,
) -> Json:
    """`config.json` of a node. It joins an existing network namespace and has these capabilities, by their names here.

    `gate`, `init`: the host's files that GATE and INIT are. `fresh`: directories in memory, anew at each start, and how.
    """
    binds = []
    for bind in node.binds:
        source, to, *mode = bind.split(":")
        binds.append(_bind(source, to, *mode))
    held = [f"{PREFIX}{name}" for name in capabilities]
    return {
        "ociVersion": "1.0.2",
        "hostname": node.name,
        "process": {
            "terminal": False,
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.further)},
            "args": list(process.args),
            "env": list(process.env),
            "cwd": process.directory,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), held),
        },
        "root": {"path": str(rootfs), "readonly": False},
        "mounts": [
            _mount("proc", "/proc"),
            _mount("tmpfs", "/dev", ("nosuid", "mode=755")),
            _mount("devpts", "/dev/pts", ("newinstance", "ptmxmode=0666", "mode=0620")),
            _mount("tmpfs", "/dev/shm", ("nosuid", "nodev", "mode=1777", *_shm_size(node.limits))),
            *(_mount("tmpfs", to, ("nosuid", *how)) for to, how in fresh.items()),
            _mount("sysfs", "/sys", ("nosuid", "noexec", "nodev")),
            _bind(str(gate), GATE),
            _bind(str(init), INIT, "ro"),
            *binds,
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]
            + [{"type": "network", "path": str(netns)}],
            "cgroupsPath": cgroup,
            "resources": _resources(node.limits),
        },
    }
