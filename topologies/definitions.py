"""Node definitions of a containerlab file: which keys they may have, and how defaults, kind, group and node merge.

Must not know links, contracts or runtimes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from topologies.document import Value, shown
from topologies.model import LABELS, REGION_LABEL, ROLE_LABEL, ROLES, Node
from topologies.problems import closest, one_of

SUPPORTED_KEYS = (
    "binds",
    "cmd",
    "entrypoint",
    "env",
    "exec",
    "group",
    "image",
    "kind",
    "labels",
    "network-mode",
    "sysctls",
)

REFUSED_KEYS = (
    "aliases",
    "auto-remove",
    "cap-add",
    "certificate",
    "components",
    "config",
    "cpu",
    "cpu-set",
    "devices",
    "dns",
    "enforce-startup-config",
    "env-files",
    "extras",
    "healthcheck",
    "image-pull-policy",
    "kernel",
    "license",
    "memory",
    "mgmt-ipv4",
    "mgmt-ipv6",
    "ports",
    "position",
    "privileged",
    "restart-policy",
    "runtime",
    "sandbox",
    "security-opts",
    "shm-size",
    "stages",
    "startup-config",
    "startup-delay",
    "suppress-startup-config",
    "tmpfs",
    "type",
    "user",
    "volumes",
)

# Kinds of containerlab that are something else than a Linux container; the list only makes the message better.
OTHER_KINDS = (
    "arista_ceos",
    "bridge",
    "ceos",
    "cisco_xrd",
    "crpd",
    "ext-container",
    "host",
    "juniper_crpd",
    "k8s-kind",
    "nokia_srlinux",
    "ovs-bridge",
    "sonic-vs",
    "srl",
)

# A sysctl outside these belongs to the host, not to the node's namespaces.
_NODE_SYSCTL = re.compile(r"(net\.|fs\.mqueue\.|kernel\.(msg|sem|shm))[A-Za-z0-9_./:-]*")
_MAGIC = re.compile(r"__clab\w*__")
_EXAMPLES = {"binds": "a list such as [conf/a.conf:/etc/a.conf:ro]", "exec": "a list of command lines"}


@dataclass(frozen=True, slots=True)
class Definition:
    """What one place of the file (defaults, a kind, a group, a node) says of a node, each with its line."""

    values: Mapping[str, Value] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[tuple[Value, str], ...]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, tuple[Value, str]]] = field(default_factory=dict)


NOTHING = Definition()


def read_definition(value: Value, what: str) -> Definition:
    """Reads `defaults`, a kind, a group or a node; keys and shapes are checked here, meanings after merging."""
    values = value.fields(what, SUPPORTED_KEYS, REFUSED_KEYS)
    texts: dict[str, str] = {}
    lists: dict[str, tuple[tuple[Value, str], ...]] = {}
    maps: dict[str, dict[str, tuple[Value, str]]] = {}
    for key, given in values.items():
        if key in ("binds", "exec"):
            lists[key] = tuple(_texts_of(given.items(_EXAMPLES[key]), "a string"))
        elif key in ("env", "labels", "sysctls"):
            entries = given.entries("a mapping of names to values")
            maps[key] = {name: (item, text) for name, (item, text) in _texts_by_name(entries)}
        else:
            text = given.text("a string such as 'sleep infinity'" if key in ("cmd", "entrypoint") else "a string")
            if text is not None:
                texts[key] = text
    return Definition(values, texts, lists, maps)


def _texts_of(values: Sequence[Value], expected: str) -> list[tuple[Value, str]]:
    return [(value, text) for value in values if (text := value.text(expected)) is not None]


def _texts_by_name(entries: Mapping[str, Value]) -> list[tuple[str, tuple[Value, str]]]:
    read = [(name, value, value.text("a string or a number")) for name, value in entries.items()]
    return [(name, (value, text)) for name, value, text in read if text is not None]


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything of `topology:` that says how nodes are, and how it adds up for one node."""

    lab: str
    directory: Path
    images: Collection[str]
    defaults: Definition
    kinds: Mapping[str, Definition]
    groups: Mapping[str, Definition]

    def node(self, name: str, at: Value, own: Definition) -> Node:
        """The node with everything merged; what cannot be right is complained of at the line where it was written."""
        kind, group = self._kind_and_group(own)
        layers = [self.defaults, self.kinds.get(kind, NOTHING), self.groups.get(group, NOTHING), own]
        self._check_kind(at, kind, layers)
        labels = self._labels(layers)
        return Node(
            name=name,
            kind=kind,
            image=self._image(at, layers),
            cmd=_argv(layers, "cmd"),
            entrypoint=_argv(layers, "entrypoint"),
            exec=tuple(self._filled(value, text, name) for value, text in _joined(layers, "exec")),
            binds=self._binds(layers, name),
            env={key: self._filled(value, text, name) for key, (value, text) in _env(layers).items()},
            labels={key: text for key, (_, text) in labels.items()},
            sysctls=_sysctls(layers),
            network_mode=_network_mode(at, layers),
            line=at.key_line,
            group=group or None,
        )

    def _kind_and_group(self, own: Definition) -> tuple[str, str]:
        # A group may set the kind and a kind may set the group; the node's own word comes first, as in containerlab.
        candidates = (own.texts.get("group", ""), self.defaults.texts.get("group", ""))
        of_groups = (self.groups.get(group, NOTHING).texts.get("kind", "") for group in candidates)
        kind = next(
            (k for k in (own.texts.get("kind", ""), *of_groups, self.defaults.texts.get("kind", "")) if k), ""
        ).lower()
        of_kind = self.kinds.get(kind, NOTHING).texts.get("group", "")
        group = next((g for g in (candidates[0], of_kind, candidates[1]) if g), "")
        return kind, group

    def _check_kind(self, at: Value, kind: str, layers: Sequence[Definition]) -> None:
        if kind == "linux":
            return
        if not kind:
            at.complain_missing("kind", "'kind: linux' here, in its group or in defaults")
            return
        where = _last(layers, "kind") or at
        if kind in OTHER_KINDS:
            expected = "'linux': this kind is known to containerlab, not supported by this runtime yet"
            where.complain(expected, shown(kind))
        else:
            where.complain(f"'linux', the kind supported by this runtime{closest(kind, ['linux'])}", shown(kind))

    def _image(self, at: Value, layers: Sequence[Definition]) -> str:
        image = _last_text(layers, "image")
        known = one_of(self.images)
        if not image:
            at.complain_missing("image", known)
        elif image not in self.images and (where := _last(layers, "image")):
            found = f"image {shown(image)}, which cannot be mapped to a root file system"
            where.complain(f"{known}{closest(image, self.images)}", found)
        return image

    def _labels(self, layers: Sequence[Definition]) -> dict[str, tuple[Value, str]]:
        labels = _merged(layers, "labels")
        for key, (value, text) in labels.items():
            if key.startswith("nospof.") and key not in LABELS:
                value.complain_of_key(f"the label {key!r}", f"{one_of(LABELS)}{closest(key, LABELS)}")
            elif key == ROLE_LABEL and text not in ROLES:
                value.complain(f"a role, {one_of(ROLES)}{closest(text, ROLES)}")
            elif key == REGION_LABEL and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text):
                value.complain("a region's name of letters, digits, '-', '_' and '.'")
        return labels

    def _binds(self, layers: Sequence[Definition], node: str) -> tuple[str, ...]:
        by_target: dict[str, tuple[Value, str, str]] = {}
        for value, raw in _joined(layers, "binds"):
            source, _, rest = self._filled(value, raw, node).partition(":")
            target, _, option = rest.partition(":")
            if not source or not target.startswith("/") or option not in ("", "ro", "rw"):
                value.complain("HOST_PATH:NODE_PATH or HOST_PATH:NODE_PATH:ro, NODE_PATH absolute")
                continue
            # The more specific level replaces a bind of the same target, so only what is left has to exist.
            by_target[target.rstrip("/") or "/"] = (value, source, ":ro" if option == "ro" else "")
        binds = []
        for target, (value, source, suffix) in by_target.items():
            path = _absolute(self.directory, source)
            if not path.exists():
                expected = "a path that exists, absolute or relative to the topology's file"
                value.complain(expected, f"{str(path)!r}, which does not exist")
            elif ":" in str(path):
                value.complain("a host path without ':', which separates it from the node's", shown(str(path)))
            binds.append(f"{path}:{target}{suffix}")
        return tuple(binds)

    def _filled(self, value: Value, text: str, node: str) -> str:
        filled = text.replace("__clabNodeName__", node).replace("__clabLabName__", self.lab)
        if left := _MAGIC.search(filled):
            expected = "__clabNodeName__ or __clabLabName__; others are not supported by nospof yet"
            value.complain(expected, repr(left.group()))
        return filled


def _absolute(directory: Path, source: str) -> Path:
    try:
        path = Path(source).expanduser()
    except RuntimeError:  # `~nobody-here/x`: no such home; it will be said that it does not exist
        path = Path(source)
    # Only `.` and `..` are folded: a symbolic link stays one, as for containerlab.
    parts: list[str] = []
    for part in (directory / path).absolute().parts[1:]:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return Path("/", *parts)


def _last(layers: Sequence[Definition], key: str) -> Value | None:
    """The value of the most specific layer that says something."""
    return next((layer.values[key] for layer in reversed(layers) if layer.texts.get(key)), None)


def _last_text(layers: Sequence[Definition], key: str) -> str:
    return next((layer.texts[key] for layer in reversed(layers) if layer.texts.get(key)), "")


def _joined(layers: Sequence[Definition], key: str) -> list[tuple[Value, str]]:
    return [entry for layer in layers for entry in layer.lists.get(key, ())]


def _merged(layers: Sequence[Definition], key: str) -> dict[str, tuple[Value, str]]:
    merged: dict[str, tuple[Value, str]] = {}
    for layer in layers:
        merged.update(layer.maps.get(key, {}))
    return merged


def _env(layers: Sequence[Definition]) -> dict[str, tuple[Value, str]]:
    merged = _merged(layers, "env")
    for key, (value, _) in merged.items():
        if not key or "=" in key:
            value.complain_of_key(f"the variable {shown(key)}", "a name without '='")
        elif key == "__IMPORT_ENVS":
            value.complain_of_key(
                f"the variable {key!r}", "a file without it: it is known to containerlab, not supported by nospof yet"
            )
    return merged


def _sysctls(layers: Sequence[Definition]) -> dict[str, str]:
    merged = _merged(layers, "sysctls")
    for key, (value, _) in merged.items():
        if not _NODE_SYSCTL.fullmatch(key) or ".." in key:
            expected = "one of a node's own namespaces, such as net.ipv4.ip_forward"
            value.complain_of_key(f"the sysctl {shown(key)}", expected)
    return {key: text for key, (_, text) in merged.items()}


def _argv(layers: Sequence[Definition], key: str) -> tuple[str, ...] | None:
    where = _last(layers, key)
    if where is None:
        return None
    try:
        argv = tuple(shlex.split(_last_text(layers, key)))
    except ValueError as error:
        where.complain(f"a command line that a shell could split ({str(error).lower()})")
        return None
    return argv or None


def _network_mode(at: Value, layers: Sequence[Definition]) -> str | None:
    mode = _last_text(layers, "network-mode").lower()
    reason = "say 'network-mode: none'; a management network would be a hidden path around every fault"
    where = _last(layers, "network-mode")
    if where is None:
        at.complain_missing("network-mode", f"'none': {reason}")
    elif mode != "none":
        where.complain(f"'none': {reason}")
    return mode or None
