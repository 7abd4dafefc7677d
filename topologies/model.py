"""A topology as typed, frozen values: nodes, links and their endpoints, with the roles that labels give them.

Must not know where it was read from or what deploys it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from topologies.limits import Limits
from topologies.management import Management
from topologies.stages import Healthcheck, Stages

NO_LIMITS = Limits()
DEFAULT_LINK_MTU = 9500
"""containerlab's; too large for native XDP on veth, so a topology with XDP nodes says `mtu:`."""

IMAGES = frozenset({"nospof/reference:latest", "nospof/base:latest"})
"""Images that can be mapped to a root file system without a registry."""

ROLES = ("client", "transit", "edge", "l4", "l7", "app", "control", "dns")

ROLE_LABEL = "nospof.role"
REGION_LABEL = "nospof.region"
DOMAIN_LABEL = "nospof.domain"
LABELS = (ROLE_LABEL, REGION_LABEL, DOMAIN_LABEL)


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of a link. `mac` is set where the file gives one."""

    node: str
    interface: str
    mac: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True, slots=True)
class Link:
    """A wire between two endpoints of two different nodes; `mtu` in bytes."""

    endpoints: tuple[Endpoint, Endpoint]
    mtu: int = DEFAULT_LINK_MTU
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.endpoints[0]}–{self.endpoints[1]}"

    def end_at(self, node: str) -> Endpoint:
        """The endpoint at that node; KeyError if the link does not end there."""
        for end in self.endpoints:
            if end.node == node:
                return end
        raise KeyError(f"{self} does not end at {node}")

    def end_beyond(self, node: str) -> Endpoint:
        """The endpoint at the other side, seen from that node; KeyError if the link does not end there."""
        return self.endpoints[1 - self.endpoints.index(self.end_at(node))]


@dataclass(frozen=True, slots=True)
class Node:
    """A node after defaults, kind and group were merged into it.

    `cmd` and `entrypoint` are argument vectors, `exec` command lines run in the node once its links are there; `env` has what
    `env_files` (absolute paths) say, too; `binds` are `HOST_PATH:NODE_PATH` or `HOST_PATH:NODE_PATH:ro` with absolute paths;
    `startup_delay` in seconds; `user` is `user[:group]`, empty where the image says; `capabilities` are those it asks for beyond
    the usual ones; `line` is that of its name."""

    name: str
    kind: str
    image: str
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    exec: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    sysctls: Mapping[str, str] = field(default_factory=dict, hash=False)
    network_mode: str | None = None
    line: int = field(default=0, compare=False)
    group: str | None = None
    limits: Limits = NO_LIMITS
    env_files: tuple[str, ...] = ()
    stages: Stages = field(default_factory=dict, hash=False)
    healthcheck: Healthcheck | None = None
    capabilities: tuple[str, ...] = ()
    startup_delay: int = 0
    user: str = ""

    @property
    def role(self) -> str | None:
        return self.labels.get(ROLE_LABEL) or None

    @property
    def region(self) -> str | None:
        return self.labels.get(REGION_LABEL) or None

    @property
    def domains(self) -> tuple[str, ...]:
        """Failure domains in the order written; a node may be in several (rack, power, provider)."""
        parts = (part.strip() for part in self.labels.get(DOMAIN_LABEL, "").split(","))
        return tuple(dict.fromkeys(part for part in parts if part))


@dataclass(frozen=True, slots=True)
class Topology:
    """A lab as its file describes it. `digest` is over the file's text and the files beside it that nodes bind.
    `mgmt` is None where no node is on the management network; `variables` of the environment are those that the file used."""

    name: str
    path: Path
    prefix: str
    nodes: Mapping[str, Node] = field(hash=False)
    links: tuple[Link, ...]
    digest: str = ""
    mgmt: Management | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    def nodes_with_role(self, role: str) -> tuple[Node, ...]:
        """In the order of the file."""
        return tuple(node for node in self.nodes.values() if node.role == role)

    def links_of(self, node: str) -> tuple[Link, ...]:
        """Links with an end at the node, in the order of the file."""
        return tuple(link for link in self.links if any(end.node == node for end in link.endpoints))

    def roles(self) -> tuple[str, ...]:
        """Roles that some node has, sorted."""
        return tuple(sorted({node.role for node in self.nodes.values() if node.role}))

    def regions(self) -> tuple[str, ...]:
        """Regions that some node is in, sorted."""
        return tuple(sorted({node.region for node in self.nodes.values() if node.region}))

    def nodes_in_region(self, region: str) -> tuple[Node, ...]:
        """In the order of the file, clients included."""
        return tuple(node for node in self.nodes.values() if node.region == region)

    def container_name(self, node: str) -> str:
        """containerlab's name for a node's container: prefix, lab and node; the empty prefix leaves the node alone."""
        if self.prefix == "":
            return node
        parts = (self.name, node) if self.prefix == "__lab-name" else (self.prefix, self.name, node)
        return "-".join(parts)
