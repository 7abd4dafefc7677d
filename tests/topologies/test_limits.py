"""Sizes and shares as containerlab reads them, and a container's limits made of them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import GOOD, only, problems_of_topology, written
from topologies.limits import Limits, cpu_set_of, cpus_of, size_of
from topologies.model import Node
from topologies.oci.bundle import Process, config_of
from topologies.source import load_topology


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("42", 42), ("42B", 42), ("1k", 1000), ("1kB", 1000), ("1 KB", 1000), ("1KiB", 1024), ("1Ki", 1024),
        ("1.5GB", 1_500_000_000), ("2Gib", 2 << 30), ("1,024", 1024), ("3tb", 3 * 10**12), ("1PiB", 1 << 50),
    ],
)  # fmt: skip
def test_a_size_is_of_powers_of_1000_or_with_an_i_of_1024(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 2", "1XB", "1BB", "1iB", "0x10", "1e3", "1b5"])
def test_a_size_of_another_shape_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        size_of(text)


@given(st.integers(0, 10**12))
def test_a_whole_number_is_bytes(number: int) -> None:
    assert size_of(str(number)) == size_of(f"{number:,}") == number


@given(st.text(max_size=12))
def test_no_text_makes_it_fail_in_another_way(text: str) -> None:
    for parse in (size_of, cpus_of, cpu_set_of):
        try:
            parse(text)
        except ValueError:
            continue


def node(directory: Path, keys: str) -> Node:
    return load_topology(written(directory, GOOD.replace("    b: {", f"    b: {{{keys}, "))).nodes["b"]


def test_a_nodes_limits_are_those_of_the_most_specific_level(tmp_path: Path) -> None:
    text = GOOD.replace("defaults: {", "defaults: {memory: 1GB, cpu: 2, ").replace(
        "    b: {", "    b: {memory: 64MiB, "
    )
    nodes = load_topology(written(tmp_path, text)).nodes
    assert nodes["a"].limits == Limits(memory=10**9, cpus=Fraction(2))
    assert nodes["b"].limits == Limits(memory=64 << 20, cpus=Fraction(2))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("memory: much", "512MiB"), ("shm-size: 1 2", "512MiB"), ("cpu: 0", "0.01"), ("cpu: -1", "0.01"),
        ("cpu: half", "0.01"), ("cpu-set: 3-1", "0-1"), ("cpu-set: all", "0-1"),
        ("privileged: false", "'true'"), ("cap-add: [\"!\"]", "NET_ADMIN"), ("cap-add: [SYS_TIEM]", "SYS_TIME"),
        ("image-pull-policy: Always", "Never"),
        ("env-files: [absent.env]", "a file of variables"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(tmp_path: Path, keys: str, expected: str) -> None:
    problem = only(problems_of_topology(tmp_path, GOOD.replace("    b: {", f"    b: {{{keys}, ")))
    assert expected in problem.expected
    assert problem.line == 6


def test_what_makes_no_difference_is_read(tmp_path: Path) -> None:
    node(tmp_path, "privileged: true, cap-add: [NET_ADMIN, SYS_PTRACE], image-pull-policy: IfNotPresent")


def test_limits_become_a_containers(tmp_path: Path) -> None:
    limited = node(tmp_path, "memory: 64MiB, cpu: 0.25, cpu-set: 0-1, shm-size: 1MB")
    places = dict.fromkeys(("rootfs", "netns", "gate", "init"), tmp_path) | {"cgroup": "/x", "capabilities": ()}
    config = config_of(limited, Process((), ()), **places)  # type: ignore[arg-type]
    resources = config["linux"]["resources"]  # type: ignore[index]
    assert resources["memory"] == {"limit": 64 << 20}
    assert resources["cpu"] == {"quota": 25_000, "period": 100_000, "cpus": "0-1"}
    shm = next(m for m in config["mounts"] if m["destination"] == "/dev/shm")  # type: ignore[attr-defined]
    assert "size=1000000" in shm["options"]
    free = config_of(node(tmp_path, "cmd: x"), Process((), ()), **places)  # type: ignore[arg-type]
    assert set(free["linux"]["resources"]) == {"devices"}  # type: ignore[index]
