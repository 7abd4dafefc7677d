"""Reads a containerlab file into a `Topology`, or says everything that is wrong with it, line by line.

Must not know contracts, scenarios or how a topology is deployed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from topologies import keys
from topologies.definitions import NOTHING, ONLY_NODES, Definition, Definitions, read_definition
from topologies.document import Document, Value, read_document, shown
from topologies.image.cache import digest
from topologies.management import Management, read_management, with_addresses
from topologies.model import IMAGES, Link, Node, Topology
from topologies.problems import BadInput, Problem
from topologies.stages import problems_of_order
from topologies.substitution import SubstitutionError, substitute
from topologies.wiring import PSEUDO_NODES, Wiring

__all__ = ["BadInput", "Problem", "load_topology"]

Wanted = dict[str, list[tuple[Value, str]]]
"""Node → the management addresses that it asks for, with their places in the file."""

_DEFAULT_PREFIX = "clab"
_TOPOLOGY_KEYS = ("defaults", "groups", "kinds", "links", "nodes")
# Names become parts of paths, of container names and of host names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_NAME_RULE = "up to 63 letters, digits, '-', '_' and '.', the first a letter or a digit"


def load_topology(
    path: Path, images: Collection[str] | None = IMAGES, variables: Mapping[str, str] = os.environ
) -> Topology:
    """Reads the file; nothing is deployed, nothing but the file and the existence of bound paths is looked at.

    Raises BadInput with all problems. `images` are those that can be mapped to a root file system; None where any can be.
    `variables` of the environment may stand in the file; the topology keeps those that did, so that it can be read again."""
    path = Path(path)
    document = read_document(path, "a containerlab topology file, *.clab.yml")
    _refuse_templates(document)
    used = _substitute(document, variables)
    root = document.root()
    top = root.fields("a topology file", keys.supported(keys.TOP), keys.refused(keys.TOP))
    name = _name(root, top.get("name"))
    prefix = _prefix(top.get("prefix"))
    nodes: dict[str, Node] = {}
    links: tuple[Link, ...] = ()
    mgmt: Management | None = None
    if "topology" in top:
        fields = top["topology"].fields("'topology'", _TOPOLOGY_KEYS)
        nodes, wanted = _nodes(top["topology"], fields, name, path, images)
        on_mgmt = [node.name for node in nodes.values() if node.network_mode is None]
        _check_order(document, nodes)
        links = _links(fields.get("links"), nodes, on_mgmt)
        mgmt = _management(top.get("mgmt"), on_mgmt, wanted)
    else:
        root.complain_missing("topology", "a mapping with nodes and links")
    document.refuse_if_bad()
    return Topology(name, path, prefix, nodes, links, _digest(document, nodes), mgmt, used)


def _refuse_templates(document: Document) -> None:
    for number, line in enumerate(document.text.splitlines(), start=1):
        if "{{" in line:
            expected = "plain YAML: Go templates are known to containerlab, not supported by nospof yet"
            document.complain(number, "template", "'{{'", expected)
    # Unquoted, a template is no YAML either, and a syntax error would hide the reason.
    document.refuse_if_bad()


def _substitute(document: Document, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that stood in the file and were set."""
    used: dict[str, str] = {}
    try:
        document.text = substitute(document.text, variables, used)
    except SubstitutionError as error:
        document.complain(error.line, "substitution", error.found, error.expected)
    document.refuse_if_bad()
    return used


def _name(root: Value, value: Value | None) -> str:
    if value is None:
        root.complain_missing("name", "the lab's name")
        return ""
    text = value.text("the lab's name")
    if text is not None and not _NAME.fullmatch(text):
        value.complain(_NAME_RULE)
    return text or ""


def _prefix(value: Value | None) -> str:
    if value is None:
        return _DEFAULT_PREFIX
    text = value.text("the containers' prefix, '' or __lab-name")
    if text and text != "__lab-name" and not _NAME.fullmatch(text):
        value.complain(f"'', __lab-name or {_NAME_RULE}")
    return _DEFAULT_PREFIX if text is None else text


def _nodes(
    topology: Value, fields: dict[str, Value], lab: str, path: Path, images: Collection[str] | None
) -> tuple[dict[str, Node], Wanted]:
    defaults = read_definition(fields["defaults"], "defaults") if "defaults" in fields else NOTHING
    definitions = Definitions(
        lab,
        path.parent,
        images,
        defaults,
        _definitions(fields, "kinds", "a kind"),
        _definitions(fields, "groups", "a group"),
    )
    entries = fields["nodes"].entries("a mapping of node names to definitions") if "nodes" in fields else {}
    if not entries and ("nodes" not in fields or fields["nodes"].shape == "a mapping"):
        topology.complain_missing("nodes", "at least one node")
    nodes: dict[str, Node] = {}
    wanted: Wanted = {}
    for name, value in entries.items():
        if not _NAME.fullmatch(name):
            value.complain_of_key(f"the name {shown(name)}", _NAME_RULE)
        elif name in PSEUDO_NODES:
            value.complain_of_key(f"the name {name!r}", "another name: in links this one means the host's side")
        own = read_definition(value, "a node")
        nodes[name] = definitions.node(name, value, own)
        wanted[name] = [(own.values[key], own.texts[key]) for key in ONLY_NODES if own.texts.get(key)]
    return nodes, wanted


def _check_order(document: Document, nodes: dict[str, Node]) -> None:
    checked = [name for name, node in nodes.items() if node.healthcheck]
    for line, node, found, expected in problems_of_order({name: n.stages for name, n in nodes.items()}, checked):
        document.complain(line, f"topology.nodes.{node}.stages", found, expected)


def _management(value: Value | None, nodes: Sequence[str], wanted: Wanted) -> Management | None:
    """None where no node is on it: containerlab would make an empty one, or skip it."""
    mgmt = read_management(value)
    for node, asked in wanted.items():
        if node not in nodes:
            for where, _ in asked:
                where.complain("no address: 'network-mode: none' keeps this node off the management network")
    return with_addresses(mgmt, nodes, wanted) if nodes else None


def _definitions(fields: dict[str, Value], key: str, what: str) -> dict[str, Definition]:
    if key not in fields:
        return {}
    entries = fields[key].entries(f"a mapping of names to definitions, each {what}'s")
    read = {name: read_definition(value, what) for name, value in entries.items()}
    # containerlab compares kinds in lower case.
    return {name.lower(): definition for name, definition in read.items()} if key == "kinds" else read


def _links(value: Value | None, nodes: Collection[str], on_mgmt: Collection[str]) -> tuple[Link, ...]:
    if value is None:
        return ()
    wiring = Wiring(nodes, on_mgmt)
    links = (wiring.link(item) for item in value.items("a list of links"))
    return tuple(link for link in links if link is not None)


def _digest(document: Document, nodes: dict[str, Node]) -> str:
    """Over the topology's text and every file in its directory that a node binds or takes variables from: what its author writes."""
    parts: list[bytes | str] = [document.text]
    home = document.file.parent.absolute()
    sources = {Path(bind.split(":", 1)[0]) for node in nodes.values() for bind in node.binds}
    sources |= {Path(file) for node in nodes.values() for file in node.env_files}
    for source in sorted(source for source in sources if source.is_relative_to(home)):
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file():
                parts += [str(file.relative_to(home)), file.read_bytes()]
    return digest(parts)
