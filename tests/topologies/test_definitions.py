"""What a node is, after defaults, kind, group and node were merged the way containerlab merges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import GOOD, only, problems_of_topology, written
from topologies.model import Node
from topologies.problems import Problem
from topologies.source import load_topology


def _b(directory: Path, keys: str, old: str = "    b: {") -> Node:
    return load_topology(written(directory, GOOD.replace(old, f"{old}{keys}, "))).nodes["b"]


def _problem(directory: Path, keys: str, old: str = "    b: {") -> Problem:
    return only(problems_of_topology(directory, GOOD.replace(old, f"{old}{keys}, ")))


_LAYERED = """\
name: lab
topology:
  defaults: {kind: linux, network-mode: none, image: nospof/base:latest, cmd: from defaults,
             env: {A: d, B: d, C: d, D: d}, exec: [d], binds: [d:/x, d:/y]}
  kinds:
    linux: {cmd: from kind, env: {B: k, C: k, D: k}, exec: [k], group: g, binds: [k:/x]}
  groups:
    g: {cmd: from group, env: {C: g, D: g}, exec: [g], labels: {nospof.role: l4}, image: nospof/reference:latest}
    other: {kind: linux}
  nodes:
    n: {cmd: from node, env: {D: n}, exec: [n], binds: ["d:/z:ro"]}
    m:
    o: {group: other}
"""


@pytest.fixture
def layered(tmp_path: Path) -> dict[str, Node]:
    for name in "dk":
        (tmp_path / name).touch()
    return dict(load_topology(written(tmp_path, _LAYERED)).nodes)


def test_the_more_specific_level_wins(layered: dict[str, Node]) -> None:
    assert layered["n"].cmd == ("from", "node")
    assert layered["m"].cmd == ("from", "group")
    assert layered["o"].cmd == ("from", "kind")
    assert (layered["m"].image, layered["o"].image) == ("nospof/reference:latest", "nospof/base:latest")


def test_env_and_labels_merge_by_key(layered: dict[str, Node]) -> None:
    assert layered["n"].env == {"A": "d", "B": "k", "C": "g", "D": "n"}
    assert (layered["n"].role, layered["o"].role) == ("l4", None)


def test_exec_adds_up_from_the_least_specific_on(layered: dict[str, Node]) -> None:
    assert layered["n"].exec == ("d", "k", "g", "n")
    assert layered["o"].exec == ("d", "k")


def test_a_bind_replaces_the_less_specific_one_of_the_same_target(layered: dict[str, Node], tmp_path: Path) -> None:
    assert set(layered["n"].binds) == {f"{tmp_path}/k:/x", f"{tmp_path}/d:/y", f"{tmp_path}/d:/z:ro"}


def test_a_node_may_say_nothing_and_take_all_from_above(layered: dict[str, Node]) -> None:
    assert (layered["m"].kind, layered["m"].network_mode, layered["m"].group) == ("linux", "none", "g")


def test_a_group_may_give_the_kind(tmp_path: Path) -> None:
    text = """\
        name: lab
        topology:
          groups: {g: {kind: Linux, image: nospof/base:latest, network-mode: none}}
          nodes: {a: {group: g}}
        """
    assert load_topology(written(tmp_path, text)).nodes["a"].kind == "linux"


@pytest.mark.parametrize("kind", ["bridge", "host", "nokia_srlinux"])
def test_another_kind_of_containerlab_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    problem = _problem(tmp_path, f"kind: {kind}")
    assert (problem.line, problem.found) == (6, repr(kind))
    assert "known to containerlab, not supported by this runtime yet" in problem.expected


def test_a_kind_nobody_knows_is_refused_with_a_hint(tmp_path: Path) -> None:
    assert _problem(tmp_path, "kind: linus").expected.endswith("(did you mean 'linux'?)")


@pytest.mark.parametrize("key", ["kind", "image"])
def test_what_a_node_cannot_do_without_is_named_where_it_is_missing(tmp_path: Path, key: str) -> None:
    values = {"kind": "linux", "image": "nospof/base:latest", "network-mode": "none"}
    given = ", ".join(f"{name}: {value}" for name, value in values.items() if name != key)
    problem = only(problems_of_topology(tmp_path, f"name: lab\ntopology:\n  nodes:\n    a: {{{given}}}\n"))
    assert (problem.line, problem.field, problem.found) == (4, f"topology.nodes.a.{key}", "nothing")


@pytest.mark.parametrize("mode", ["host", "bridge", "container:a"])
def test_a_network_of_the_hosts_is_refused_with_the_mend(tmp_path: Path, mode: str) -> None:
    problem = _problem(tmp_path, f"network-mode: '{mode}'")
    assert problem.found == repr(mode)
    assert "'none', or nothing" in problem.expected


def test_commands_are_split_as_a_shell_would(tmp_path: Path) -> None:
    node = _b(tmp_path, "cmd: sh -c 'sleep infinity', entrypoint: /sbin/init")
    assert (node.cmd, node.entrypoint) == (("sh", "-c", "sleep infinity"), ("/sbin/init",))


@pytest.mark.parametrize("cmd", ["'sh -c \"x'", "[sh, -c, x]", "{a: b}"])
def test_a_command_that_cannot_be_split_is_refused(tmp_path: Path, cmd: str) -> None:
    assert _problem(tmp_path, f"cmd: {cmd}").field == "topology.nodes.b.cmd"


def test_values_are_kept_as_written_not_as_yaml_types_them(tmp_path: Path) -> None:
    node = _b(tmp_path, "env: {A: 1.10, B: yes, C: 010, D: 2026-01-02, E: ''}, sysctls: {net.ipv4.ip_forward: 1}")
    assert node.env == {"A": "1.10", "B": "yes", "C": "010", "D": "2026-01-02", "E": ""}
    assert node.sysctls == {"net.ipv4.ip_forward": "1"}


@pytest.mark.parametrize("keys", ["env: {A: }", "env: {A: [x]}", "env: [A=1]", "env: {A=B: x}", 'env: {A: "\\0"}'])
def test_an_environment_that_cannot_be_one_is_refused(tmp_path: Path, keys: str) -> None:
    assert _problem(tmp_path, keys).line == 6


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "fs.file-max", "net..x", "net.ipv4/../../x"])
def test_a_sysctl_of_the_host_is_refused(tmp_path: Path, name: str) -> None:
    assert "namespaces" in _problem(tmp_path, f"sysctls: {{{name}: 1}}").expected


def test_magic_variables_stand_for_node_and_lab(tmp_path: Path) -> None:
    (tmp_path / "b.conf").touch()
    node = _b(
        tmp_path, "binds: ['__clabNodeName__.conf:/c'], exec: [echo __clabLabName__], env: {N: x__clabNodeName__}"
    )
    assert node.binds == (f"{tmp_path}/b.conf:/c",)
    assert (node.exec, node.env) == (("echo lab",), {"N": "xb"})
    assert _problem(tmp_path, "exec: [ls __clabNodeDir__]").found == "'__clabNodeDir__'"


def test_a_bind_is_resolved_beside_the_file_not_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "lab").mkdir()
    text = GOOD.replace("    b: {", "    b: {binds: ['../conf:/conf:rw', '/dev/null:/n:ro'], ")
    written(tmp_path / "lab", text)
    monkeypatch.chdir(tmp_path)
    node = load_topology(Path("lab/lab.clab.yml")).nodes["b"]
    assert node.binds == (f"{tmp_path}/conf:/conf", "/dev/null:/n:ro")


def test_a_bind_that_does_not_exist_is_named_in_full(tmp_path: Path) -> None:
    problem = _problem(tmp_path, "binds: [nowhere:/x]")
    assert (problem.line, problem.field) == (6, "topology.nodes.b.binds[0]")
    assert problem.found == f"'{tmp_path}/nowhere', which does not exist"


def test_a_bind_missing_for_two_nodes_is_told_for_both(tmp_path: Path) -> None:
    old = "  defaults: {"
    problems = problems_of_topology(tmp_path, GOOD.replace(old, old + "binds: ['__clabNodeName__.conf:/x'], "))
    assert [(problem.line, Path(problem.found.split("'")[1]).name) for problem in problems] == [
        (3, "a.conf"),
        (3, "b.conf"),
    ]


@pytest.mark.parametrize("bind", ["/x", "/dev/null:x", "/dev/null:/x:z", ":/x", "/dev/null:", "/dev/null:/x:ro:ro"])
def test_a_bind_of_another_shape_is_refused(tmp_path: Path, bind: str) -> None:
    assert _problem(tmp_path, f"binds: ['{bind}']").expected.startswith("HOST_PATH:NODE_PATH")


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        ("nospof.rol: l4", "(did you mean 'nospof.role'?)"),
        ("nospof.role: cleint", "(did you mean 'client'?)"),
        ("nospof.region: 'e u'", ""),
    ],
)
def test_a_label_of_ours_that_means_nothing_is_refused(tmp_path: Path, labels: str, hint: str) -> None:
    problem = only(problems_of_topology(tmp_path, GOOD.replace("nospof.role: l4, nospof.region: eu", labels)))
    assert problem.line == 6
    assert problem.expected.endswith(hint)


def test_a_node_may_be_in_several_failure_domains(tmp_path: Path) -> None:
    old = "    b: {labels: {"
    assert _b(tmp_path, "nospof.domain: 'rack-1, power-a,,rack-1'", old).domains == ("rack-1", "power-a")


@pytest.mark.parametrize("name", ["a/b", "host", "mgmt-net", "-a", "''"])
def test_a_node_name_that_cannot_be_used_is_refused(tmp_path: Path, name: str) -> None:
    assert "name" in only(problems_of_topology(tmp_path, GOOD.replace("  links:", f"    {name}: {{}}\n  links:"))).found
