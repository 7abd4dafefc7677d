"""Node definitions of a containerlab file: which keys they may have, and how defaults, kind, group and node merge.

Must not know links, contracts or runtimes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from topologies import keys
from topologies.capabilities import NAMES, PREFIX, named
from topologies.document import Value, shown
from topologies.env_files import RULE, read_env_file
from topologies.image.store import canonical
from topologies.limits import CPU_RULE, CPU_SET_RULE, SIZE_RULE, Limits, cpu_set_of, cpus_of, size_of
from topologies.model import LABELS, REGION_LABEL, ROLE_LABEL, ROLES, Node
from topologies.problems import closest, one_of
from topologies.stages import MOST_S, Healthcheck, Stages, joined, read_healthcheck, read_stages

T = TypeVar("T")

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
_EXAMPLES = {
    "binds": "a list such as [conf/a.conf:/etc/a.conf:ro]",
    "cap-add": "a list of capabilities such as [SYS_TIME]",
    "env-files": "a list of paths such as [conf/common.env]",
    "exec": "a list of command lines",
}
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
ONLY_NODES = ("mgmt-ipv4", "mgmt-ipv6")
_PULL_POLICIES = ("IfNotPresent", "Never")


@dataclass(frozen=True, slots=True)
class Definition:
    """What one place of the file (defaults, a kind, a group, a node) says of a node, each with its line."""

    values: Mapping[str, Value] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[tuple[Value, str], ...]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, tuple[Value, str]]] = field(default_factory=dict)
    stages: Stages = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    delay: int | None = None


NOTHING = Definition()


def read_definition(value: Value, what: str) -> Definition:
    """Reads `defaults`, a kind, a group or a node; keys and shapes are checked here, meanings after merging."""
    values = value.fields(what, keys.supported(keys.NODE), keys.refused(keys.NODE))
    texts: dict[str, str] = {}
    lists: dict[str, tuple[tuple[Value, str], ...]] = {}
    maps: dict[str, dict[str, tuple[Value, str]]] = {}
    stages: Stages = {}
    healthcheck: Healthcheck | None = None
    delay: int | None = None
    for key, given in values.items():
        if key in ONLY_NODES and what != "a node":
            given.complain_of_key(f"the key {key!r}", "it in a node's own definition only: every node needs another")
        elif key in _EXAMPLES:
            lists[key] = tuple(_texts_of(given.items(_EXAMPLES[key]), "a string"))
        elif key in ("env", "labels", "sysctls"):
            entries = given.entries("a mapping of names to values")
            maps[key] = {name: (item, text) for name, (item, text) in _texts_by_name(entries)}
        elif key == "stages":
            stages = read_stages(given)
        elif key == "healthcheck":
            healthcheck = read_healthcheck(given)
        elif key == "startup-delay":
            delay = given.integer(0, MOST_S, "seconds, a whole number")
        else:
            text = given.text("a string such as 'sleep infinity'" if key in ("cmd", "entrypoint") else "a string")
            if text is not None:
                texts[key] = text
    return Definition(values, texts, lists, maps, stages, healthcheck, delay)


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
    images: Collection[str] | None
    defaults: Definition
    kinds: Mapping[str, Definition]
    groups: Mapping[str, Definition]

    def node(self, name: str, at: Value, own: Definition) -> Node:
        """The node with everything merged; what cannot be right is complained of at the line where it was written."""
        kind, group = self._kind_and_group(own)
        layers = [self.defaults, self.kinds.get(kind, NOTHING), self.groups.get(group, NOTHING), own]
        self._check_kind(at, kind, layers)
        _check_container(layers)
        labels = self._labels(layers)
        return Node(
            name=name,
            kind=kind,
            image=self._image(at, layers),
            cmd=_argv(layers, "cmd"),
            entrypoint=_argv(layers, "entrypoint"),
            exec=tuple(self._filled(value, text, name) for value, text in _commands(layers)),
            binds=self._binds(layers, name),
            env=self._from_files(layers, name)
            | {key: self._filled(value, text, name) for key, (value, text) in _env(layers).items()},
            labels={key: text for key, (_, text) in labels.items()},
            sysctls=_sysctls(layers),
            network_mode=_network_mode(layers),
            line=at.key_line,
            group=group or None,
            limits=_limits(layers),
            capabilities=_capabilities(layers),
            user=_user(layers),
            env_files=tuple(str(path) for _, path in self._env_files(layers, name)),
            stages=joined(layer.stages for layer in layers),
            healthcheck=next((layer.healthcheck for layer in reversed(layers) if "healthcheck" in layer.values), None),
            startup_delay=next((layer.delay for layer in reversed(layers) if layer.delay), 0),
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
        known = "an image's name" if self.images is None else one_of(self.images)
        if not image:
            at.complain_missing("image", known)
        elif self.images is not None and canonical(image) not in self.images and (where := _last(layers, "image")):
            found = f"image {shown(image)}, which cannot be mapped to a root file system"
            where.complain(f"{known}{closest(image, self.images)}; `nospof image import` brings in others", found)
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

    def _env_files(self, layers: Sequence[Definition], node: str) -> list[tuple[Value, Path]]:
        return [
            (value, _absolute(self.directory, self._filled(value, raw, node)))
            for value, raw in _joined(layers, "env-files")
        ]

    def _from_files(self, layers: Sequence[Definition], node: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for value, path in self._env_files(layers, node):
            try:
                found |= read_env_file(path)
            except OSError as error:
                value.complain("a file of variables", f"{str(path)!r}: {(error.strerror or 'unreadable').lower()}")
            except ValueError as error:  # of its bytes, too
                value.complain(RULE, f"{str(path)!r}, {error}")
        return found

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


def _commands(layers: Sequence[Definition]) -> list[tuple[Value, str]]:
    """Of `exec`; what no shell could split is complained of."""
    lines = _joined(layers, "exec")
    for value, text in lines:
        try:
            empty = not shlex.split(text)
        except ValueError as error:
            value.complain(f"a command line that a shell could split ({str(error).lower()})")
            continue
        if empty:
            value.complain("a command line")
    return lines


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


def _check_container(layers: Sequence[Definition]) -> None:
    """What a container may be told that makes no difference here, as long as it says what is so anyway."""
    privileged, policy = _last(layers, "privileged"), _last(layers, "image-pull-policy")
    if privileged and _last_text(layers, "privileged").lower() not in ("true", "yes", "on"):
        privileged.complain(
            "'true', as is containerlab's default: a node without its capabilities is not supported yet"
        )
    if policy and _last_text(layers, "image-pull-policy").lower() not in (p.lower() for p in _PULL_POLICIES):
        policy.complain(f"{one_of(_PULL_POLICIES)}: there is no registry to ask")


def _capabilities(layers: Sequence[Definition]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value, text in _joined(layers, "cap-add"):
        if (name := named(text)) is None:
            value.complain(f"a capability's name such as NET_ADMIN{closest(text.upper().removeprefix(PREFIX), NAMES)}")
        else:
            found[name] = None
    return tuple(found)


def _limits(layers: Sequence[Definition]) -> Limits:
    def read(key: str, parse: Callable[[str], T], rule: str) -> T | None:
        where = _last(layers, key)
        if where is None:
            return None
        try:
            return parse(_last_text(layers, key))
        except ValueError:
            where.complain(rule)
            return None

    return Limits(
        memory=read("memory", size_of, SIZE_RULE),
        cpus=read("cpu", cpus_of, CPU_RULE),
        cpu_set=read("cpu-set", cpu_set_of, CPU_SET_RULE),
        shm=read("shm-size", size_of, SIZE_RULE),
    )


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


def _user(layers: Sequence[Definition]) -> str:
    """`user[:group]`; whether there is such a one, the image knows."""
    text, where = _last_text(layers, "user"), _last(layers, "user")
    if where is not None and not _USER.fullmatch(text):
        where.complain("a user's name or number, and perhaps a group: frr, 1000, frr:frrvty")
    return text


def _network_mode(layers: Sequence[Definition]) -> str | None:
    """`none`, or None: on the management network."""
    mode = _last_text(layers, "network-mode").lower()
    where = _last(layers, "network-mode")
    if where is not None and mode != "none":
        where.complain(
            "'none', or nothing for a node on the management network: others are not supported by nospof yet"
        )
    return mode or None
