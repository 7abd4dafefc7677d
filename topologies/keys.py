"""Every key of a containerlab file, and what nospof makes of it: the one list that reading, messages and docs are made from.

`python -m topologies.keys` prints the page docs/containerlab.md. Source: containerlab v0.79.0, its manual and its schema.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """`said` is how a supported key is understood, or what a refused one would have meant. Nothing is ever ignored."""

    name: str
    supported: bool
    said: str


def _yes(name: str, said: str) -> Key:
    return Key(name, True, said)


def _no(name: str, said: str) -> Key:
    return Key(name, False, said)


TOP = (
    _yes("mgmt", "the management network, see below"),
    _yes("name", "the lab's name"),
    _yes("prefix", "of container names: a word, `''`, or `__lab-name`"),
    _yes("topology", "defaults, kinds, groups, nodes, links"),
    _no("debug", "containerlab's own"),
    _no("settings", "containerlab's own certificate authority"),
)

MGMT = (
    _yes("external-access", "`false`: a lab is closed"),
    _yes("ipv4-subnet", "of the nodes' addresses; containerlab's default where neither family is given"),
    _yes("ipv6-subnet", "of the nodes' addresses"),
    _yes("mtu", "in bytes"),
    _yes("network", "its name; two labs that say the same still have two networks"),
    _yes("skip-when-unused", "it is left out then, whatever is said"),
    _no("bridge", "one of the host's"),
    _no("driver", "of Docker"),
    _no("driver-opts", "of Docker"),
    _no("ipam", "of Docker"),
    _no("ipv4-gw", "it is the first address"),
    _no("ipv4-range", "addresses are given from the first free one on"),
    _no("ipv6-gw", "it is the first address"),
    _no("ipv6-range", "addresses are given from the first free one on"),
)

NODE = (
    _yes("binds", "`HOST:NODE` or `HOST:NODE:ro`; a more specific level replaces the same target"),
    _yes(
        "cap-add",
        "names of capabilities; a node has all that the host can give, but `SYS_MODULE`, `SYS_RAWIO`, `SYS_BOOT`, `SYS_TIME` and "
        "`MKNOD`, which reach beyond it, only where it asks for them",
    ),
    _yes("cmd", "split as a shell would"),
    _yes("cpu", "CPUs, by CFS quota"),
    _yes("cpu-set", "the CPUs a node may run on"),
    _yes("entrypoint", "split as a shell would"),
    _yes("env", "merged by name over all levels; without `__IMPORT_ENVS`"),
    _yes("env-files", "`NAME=VALUE` lines; `env` wins"),
    _yes(
        "exec",
        "split as a shell would, run once the links are there, and again at a restart; one that fails is told; levels add up",
    ),
    _yes("group", "as in containerlab"),
    _yes(
        "healthcheck", "run while somebody waits for the node to be healthy; one that never passes ends the deployment"
    ),
    _yes("image", "one that `nospof` makes itself, or one brought in by `nospof image import`"),
    _yes("image-pull-policy", "`IfNotPresent` or `Never`: there is no registry to ask"),
    _yes("kind", "`linux`"),
    _yes("labels", "merged by name; `nospof.role`, `nospof.region` and `nospof.domain` mean something here"),
    _yes("memory", "bytes, `512MB` or `512MiB`; more is refused by the kernel's OOM killer"),
    _yes("mgmt-ipv4", "an address in the management network"),
    _yes("mgmt-ipv6", "an address in the management network"),
    _yes(
        "network-mode",
        "`none`; where nothing is said, `eth0` in the management network: closed, and a path around faults of links",
    ),
    _yes("privileged", "`true`, containerlab's default; see `cap-add` for what a node is not given all the same"),
    _yes("shm-size", "of `/dev/shm`"),
    _yes("stages", "`wait-for` and `exec` of each; links are there before the first node starts"),
    _yes("startup-delay", "in seconds, before the node is started"),
    _yes("sysctls", "of the node's own namespaces"),
    _yes("user", "`user[:group]` of the image, by name or number; it wins over the image's own word"),
    _no("aliases", "further names in the management network"),
    _no("auto-remove", "of a container that ended"),
    _no("certificate", "issued by containerlab"),
    _no("components", "of chassis"),
    _no("config", "variables of containerlab's config engine"),
    _no("devices", "of the host"),
    _no("dns", "resolvers of a node"),
    _no("enforce-startup-config", "of network operating systems"),
    _no("extras", "of some kinds"),
    _no("kernel", "of micro-VMs"),
    _no("license", "of network operating systems"),
    _no("ports", "published on the host: a door out of the lab"),
    _no("position", "in a drawing"),
    _no("restart-policy", "a node that ended stays so until it is restarted"),
    _no("runtime", "of containers"),
    _no("sandbox", "of micro-VMs"),
    _no("security-opts", "of Docker"),
    _no("startup-config", "of network operating systems"),
    _no("suppress-startup-config", "of network operating systems"),
    _no("tmpfs", "mounts"),
    _no("type", "of network operating systems"),
    _no("volumes", "of Docker"),
)

LINK = (
    _yes("endpoints", "two, as `node:interface` or as mappings with `node` and `interface`"),
    _yes("labels", "kept"),
    _yes("mtu", "in bytes; 9500 where nothing is said, as in containerlab"),
    _yes("type", "`veth`"),
    _no("dst-port", "of VXLAN"),
    _no("endpoint", "of links with one end"),
    _no("host-interface", "a door out of the lab"),
    _no("ipv4", "addresses; give them by `exec` or by the node's own configuration"),
    _no("ipv6", "addresses; give them by `exec` or by the node's own configuration"),
    _no("mode", "of macvlan"),
    _no("remote", "of VXLAN"),
    _no("src-port", "of VXLAN"),
    _no("udp-port", "of VXLAN"),
    _no("vars", "variables of containerlab's config engine"),
    _no("vni", "of VXLAN"),
)

ENDPOINT = (
    _yes("interface", "its name in the node, at most 15 characters"),
    _yes("mac", "its MAC; where the file gives none, one from the names, the same in every deployment"),
    _yes("node", "its name"),
    _no("ipv4", "addresses; give them by `exec` or by the node's own configuration"),
    _no("ipv6", "addresses; give them by `exec` or by the node's own configuration"),
    _no("vars", "variables of containerlab's config engine"),
)

ELSEWHERE = (
    _no("Go templates `{{ }}`", "would be taken literally"),
    _yes("`$VARIABLE`, `${VARIABLE:=default}`", "replaced before anything is read; one that is not set stays as it is"),
    _yes("`__clabNodeName__`, `__clabLabName__`", "in `binds`, `env` and `exec`"),
    _no("`__clabDir__`, `__clabNodeDir__`", "there is no such directory"),
    _no("`host:`, `macvlan:`, `mgmt-net:` as a link's end", "doors out of the lab"),
)


def supported(keys: tuple[Key, ...]) -> tuple[str, ...]:
    """Names of those that are read."""
    return tuple(key.name for key in keys if key.supported)


def refused(keys: tuple[Key, ...]) -> tuple[str, ...]:
    """Names of those that containerlab knows and that are refused by name."""
    return tuple(key.name for key in keys if not key.supported)


_HEAD = """\
# What of a containerlab file is read

<!-- written by `python -m topologies.keys`; a test holds it against the code -->

A key is either understood as containerlab understands it, or refused by name, with its line, before anything is deployed. None is
ignored: a lab that differs from its file proves nothing about the file. Precedence is containerlab's: node, group, kind, defaults.
"""


def page() -> str:
    """The page of documentation, Markdown."""
    parts = [_HEAD]
    for title, keys in (
        ("The file", TOP),
        ("`mgmt`", MGMT),
        ("A node, and defaults, kinds and groups", NODE),
        ("A link", LINK),
        ("A link's endpoint", ENDPOINT),
        ("Anywhere", ELSEWHERE),
    ):
        rows = [f"| {_shown(k.name)} | {'read' if k.supported else 'refused'} | {k.said} |" for k in keys]
        parts.append(f"## {title}\n\n| key | | |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _shown(name: str) -> str:
    return name if "`" in name else f"`{name}`"


if __name__ == "__main__":
    print(page(), end="")
