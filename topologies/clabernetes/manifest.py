"""A topology as Kubernetes objects for clabernetes: the file itself, and what its nodes bind, as ConfigMaps. Pure.

Source: clabernetes.containerlab.dev/v1alpha1, Topology (its custom resource definition), and its `filesFromConfigMap`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from topologies.model import Topology
from topologies.runtime import RuntimeFailure

Object = dict[str, object]

API = "clabernetes.containerlab.dev/v1alpha1"
LARGEST = 1_000_000
"""Bytes: what a ConfigMap holds, with room for its own fields (Kubernetes: 1 MiB)."""
_NOT_DNS = re.compile(r"[^a-z0-9-]+")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def manifest(topology: Topology, text: str, namespace: str = "") -> list[Object]:
    """The objects to apply, ConfigMaps first. `text` is the topology's file as it stands: its labels are in it.

    Raises RuntimeFailure for a bound file that no ConfigMap can hold.
    """
    folder = topology.path.resolve().parent
    maps: dict[str, Object] = {}
    mounted: dict[str, list[Object]] = {}
    for node in topology.nodes.values():
        for source, relative in _bound(node.binds, folder):
            name = _config_map(topology.name, relative)
            maps[name] = _file(name, source, topology.name, namespace)
            mode = "execute" if source.stat().st_mode & 0o100 else "read"
            entry: Object = {"filePath": relative, "configMapName": name, "configMapPath": "file", "mode": mode}
            entries = mounted.setdefault(node.name, [])
            if entry not in entries:
                entries.append(entry)
    spec: Object = {"definition": {"containerlab": text}}
    if mounted:
        spec["deployment"] = {"filesFromConfigMap": mounted}
    meta = _metadata(_dns(topology.name), topology.name, namespace)
    return [*maps.values(), {"apiVersion": API, "kind": "Topology", "metadata": meta, "spec": spec}]


def rendered(objects: list[Object]) -> str:
    """As one YAML stream for `kubectl apply -f`."""
    return "".join(f"---\n{yaml.dump(one, Dumper=_Dumper, sort_keys=False, allow_unicode=True)}" for one in objects)


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block: the file in it is to be read by people."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)


def _bound(binds: tuple[str, ...], folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file that these binds bring, and its path relative to the topology's folder, which is where clabernetes puts it."""
    for bind in binds:
        source = Path(bind.split(":")[0])
        files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
        for file in files:
            try:
                relative = file.resolve().relative_to(folder)
            except ValueError:
                raise RuntimeFailure(
                    f"{file} is bound by a node and lies outside {folder}: no cluster would find it; expected it beside the topology"
                ) from None
            yield file, str(relative)


def _file(name: str, source: Path, lab: str, namespace: str) -> Object:
    raw = source.read_bytes()
    if len(raw) > LARGEST:
        raise RuntimeFailure(
            f"{source} has {len(raw)} bytes and a ConfigMap holds {LARGEST}: put it into the image instead of binding it"
        )
    made: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name, lab, namespace)}
    try:
        return {**made, "data": {"file": raw.decode()}}
    except UnicodeDecodeError:
        return {**made, "binaryData": {"file": base64.b64encode(raw).decode()}}


def _metadata(name: str, lab: str, namespace: str) -> Mapping[str, object]:
    labels = {"nospof.lab": lab} if _LABEL.fullmatch(lab) else {}
    return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels}


def _dns(text: str) -> str:
    return _NOT_DNS.sub("-", text.lower()).strip("-") or "lab"


def _config_map(lab: str, relative: str) -> str:
    """Unique by the path, since two paths may look the same once they are names."""
    return f"{_dns(lab)[:30]}-{_dns(relative)[-20:].strip('-')}-{hashlib.sha256(relative.encode()).hexdigest()[:8]}"
