"""A topology as objects for clabernetes: the file as it stands, its labels, and every file that a node binds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.lab import REFERENCE
from topologies.clabernetes.manifest import LARGEST, _config_map, manifest, rendered
from topologies.runtime import RuntimeFailure
from topologies.source import load_topology

FILE = """\
name: My_Lab
topology:
  defaults: {kind: linux, image: "nospof/base:latest", network-mode: none}
  nodes:
    a: {labels: {nospof.role: l4}, binds: ["conf:/etc/conf:ro", "start.sh:/start.sh"]}
    b: {}
  links: [{endpoints: [a:eth1, b:eth1]}]
"""


def _written(folder: Path, text: str = FILE) -> Path:
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf/frr.conf").write_text("router bgp 65001\n")
    (folder / "conf/key").write_bytes(b"\xff\x00")
    (folder / "start.sh").write_text("#!/bin/sh\n")
    (folder / "start.sh").chmod(0o755)
    path = folder / "my.clab.yml"
    path.write_text(text)
    return path


def _objects(path: Path, namespace: str = "") -> list[dict[str, Any]]:
    text = path.read_text()
    made = rendered(manifest(load_topology(path), text, namespace))
    return list(yaml.safe_load_all(made))


def test_the_file_is_in_it_as_it_stands_with_its_labels(tmp_path: Path) -> None:
    path = _written(tmp_path)
    *maps, topology = _objects(path, "lab")
    assert (topology["apiVersion"], topology["kind"]) == ("clabernetes.containerlab.dev/v1alpha1", "Topology")
    assert topology["metadata"] == {"name": "my-lab", "namespace": "lab", "labels": {"nospof.lab": "My_Lab"}}
    assert topology["spec"]["definition"]["containerlab"] == FILE
    assert {m["kind"] for m in maps} == {"ConfigMap"}
    assert {m["metadata"]["namespace"] for m in maps} == {"lab"}


def test_every_bound_file_is_where_the_node_looks_for_it(tmp_path: Path) -> None:
    *maps, topology = _objects(_written(tmp_path))
    entries = topology["spec"]["deployment"]["filesFromConfigMap"]
    assert list(entries) == ["a"]
    held = {m["metadata"]["name"]: m for m in maps}
    found = {e["filePath"]: (held[e["configMapName"]], e["configMapPath"], e["mode"]) for e in entries["a"]}
    assert sorted(found) == ["conf/frr.conf", "conf/key", "start.sh"]
    assert found["conf/frr.conf"][0]["data"] == {"file": "router bgp 65001\n"}
    assert base64.b64decode(found["conf/key"][0]["binaryData"]["file"]) == b"\xff\x00"
    assert [found[path][2] for path in sorted(found)] == ["read", "read", "execute"]


def test_what_no_cluster_could_find_or_hold_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path)
    (tmp_path / "start.sh").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(RuntimeFailure, match="a ConfigMap holds"):
        _objects(path)
    (tmp_path / "below").mkdir()
    inner = tmp_path / "below/my.clab.yml"
    inner.write_text(FILE.replace("conf:", "../conf:").replace("start.sh:/", "../start.sh:/"))
    with pytest.raises(RuntimeFailure, match="lies outside"):
        _objects(inner)


PUBLISHED: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "definition": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"containerlab": {"type": "string"}, "kne": {"type": "string"}},
                },
                "deployment": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "filesFromConfigMap": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["configMapName", "filePath", "mode"],
                                    "properties": {
                                        "configMapName": {"type": "string"},
                                        "configMapPath": {"type": "string"},
                                        "filePath": {"type": "string"},
                                        "mode": {"enum": ["read", "execute"]},
                                    },
                                },
                            },
                        }
                    },
                },
            },
        }
    },
}
"""What clabernetes' custom resource definition (topologies, v1alpha1) says of the fields that we write. A cluster drops a field that
its definition lacks without a word, so here none but these may stand."""


def test_it_is_what_the_published_definition_takes(tmp_path: Path) -> None:
    for path in (REFERENCE, _written(tmp_path)):
        *_, topology = _objects(path)
        jsonschema.validate(topology, PUBLISHED)
        topology["spec"]["deployment"]["filesFromConfigMaps"] = {}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(topology, PUBLISHED)


def test_the_reference_fits() -> None:
    *_, topology = _objects(REFERENCE)
    assert "nospof.role" in topology["spec"]["definition"]["containerlab"]


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_two_files_never_share_a_name_and_every_name_is_one_for_kubernetes(one: str, other: str) -> None:
    names = {_config_map("lab", one), _config_map("lab", other)}
    assert len(names) == len({one, other})
    for name in names:
        assert len(name) <= 63
        assert name == name.lower()
        assert all(c.isascii() and (c.isalnum() or c == "-") for c in name)
        assert not name.startswith("-")
        assert not name.endswith("-")
