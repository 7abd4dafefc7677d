"""A topology file is read as containerlab would, or refused with the line, what was found and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import GOOD, line_of, only, problems_of_topology, written
from topologies.model import Endpoint
from topologies.problems import BadInput
from topologies.source import load_topology


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    topology = load_topology(written(tmp_path, GOOD))
    assert (topology.name, topology.prefix, list(topology.nodes)) == ("lab", "clab", ["a", "b"])
    node = topology.nodes["a"]
    assert (node.kind, node.image, node.network_mode) == ("linux", "nospof/base:latest", "none")
    assert (node.role, node.region, node.line) == ("client", "eu", 5)
    assert topology.links[0].endpoints == (Endpoint("a", "eth1"), Endpoint("b", "eth1"))
    assert topology.links[0].mtu == 9500, "containerlab's default"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("name: lab\ntopology: [a, b\n", 3),
        ("name: lab\ntopology:\n\tnodes: {}\n", 3),
        ("name: lab\ntopology: {nodes: {a: 'x}}\n", 3),
        ("name: lab\n  topology: {}\n", 2),
        ("name: lab\nname2: *nowhere\n", 2),
        ("name: lab\n---\nname: other\n", 2),
    ],
)
def test_a_syntax_error_is_named_with_its_line(tmp_path: Path, broken: str, line: int) -> None:
    problem = only(problems_of_topology(tmp_path, broken))
    assert (problem.field, problem.line) == ("syntax", line)
    assert problem.file == tmp_path / "lab.clab.yml"


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"none\.clab\.yml: file: found no such file or directory; expected a containerlab"
    ):
        load_topology(tmp_path / "none.clab.yml")


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.clab.yml"
    path.write_bytes(b"name: lab\n# caf\xe9\n")
    with pytest.raises(BadInput, match=r":2: syntax: found the byte 0xe9; expected UTF-8"):
        load_topology(path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n", "[]\n", "name\n"])
def test_a_file_without_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of_topology(tmp_path, text)


def test_nesting_without_end_is_refused_not_crashed_on(tmp_path: Path) -> None:
    assert "nested too deeply" in only(problems_of_topology(tmp_path, "a: " + "[" * 5000)).found


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ("name: lab", "name: lab\nmgtm: {}", "mgtm", "mgmt"),
        ("  nodes:", "  node: {}\n  nodes:", "node", "nodes"),
        ("    b: {", "    b: {imgae: x, ", "imgae", "image"),
        ("  defaults: {", "  defaults: {sysctl: {}, ", "sysctl", "sysctls"),
        ("- endpoints: [", "- MTU: 1500\n      endpoints: [", "MTU", None),
    ],
)
def test_an_unknown_key_is_named_with_the_closest_known_one(
    tmp_path: Path, old: str, new: str, key: str, hint: str | None
) -> None:
    text = GOOD.replace(old, new, 1)
    problem = only(problems_of_topology(tmp_path, text))
    assert problem.line == line_of(text, f"{key}:")
    assert problem.found == f"the unknown key '{key}'"
    if hint:
        assert problem.expected.endswith(f"(did you mean '{hint}'?)")


@pytest.mark.parametrize("key", ["ports", "volumes", "restart-policy", "tmpfs"])
def test_a_key_that_only_containerlab_acts_on_is_refused_by_name(tmp_path: Path, key: str) -> None:
    problem = only(problems_of_topology(tmp_path, GOOD.replace("    b: {", f"    b: {{{key}: x, ")))
    assert problem.line == 6
    assert key in problem.found
    assert "known to containerlab, not supported by nospof yet" in problem.expected


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("  links:", "    a: {}\n  links:")
    problem = only(problems_of_topology(tmp_path, text))
    assert (problem.line, problem.field) == (7, "topology.nodes.a")
    assert "first on line 5" in problem.found


def test_an_image_that_cannot_be_mapped_is_refused_with_those_that_can(tmp_path: Path) -> None:
    problem = only(problems_of_topology(tmp_path, GOOD.replace("    b: {", "    b: {image: frr:10, ")))
    assert problem.line == 6
    assert problem.found == "image 'frr:10', which cannot be mapped to a root file system"
    assert problem.expected == (
        "one of nospof/base:latest, nospof/reference:latest; `nospof image import` brings in others"
    )


def test_an_image_in_defaults_is_complained_of_once_not_per_node(tmp_path: Path) -> None:
    problem = only(problems_of_topology(tmp_path, GOOD.replace("nospof/base:latest", "nospof/bse:latest")))
    assert (problem.line, problem.field) == (3, "topology.defaults.image")
    assert "(did you mean 'nospof/base:latest'?)" in problem.expected


def test_images_can_be_given_by_the_caller(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("nospof/base:latest", "mine:1"))
    assert load_topology(path, images={"mine:1"}).nodes["a"].image == "mine:1"


def test_every_problem_is_told_not_only_the_first(tmp_path: Path) -> None:
    text = (
        GOOD.replace("name: lab", "name: la b")
        .replace("    a: {", "    a: {ports: [80], ")
        .replace("    b: {", "    b: {image: x, ")
        .replace("b:eth1", "z:eth1")
    )
    problems = problems_of_topology(tmp_path, text)
    assert [problem.line for problem in problems] == [1, 5, 6, 8]


def test_a_problem_reads_as_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load_topology(written(tmp_path, GOOD.replace("b:eth1", "z:eth1")))
    assert str(caught.value) == (
        f"{tmp_path}/lab.clab.yml:8: topology.links[0].endpoints[1]: "
        "found node 'z', which does not exist; expected a node of this topology, one of a, b"
    )


@pytest.mark.parametrize("name", ["''", "../x", "a b", "-a", "'a\n\n  b'", "x" * 64, "é"])
def test_a_name_that_would_not_do_as_a_path_is_refused(tmp_path: Path, name: str) -> None:
    assert "letters, digits" in only(problems_of_topology(tmp_path, GOOD.replace("lab", name, 1))).expected


@pytest.mark.parametrize("missing", ["name", "topology"])
def test_a_missing_top_key_is_named(tmp_path: Path, missing: str) -> None:
    text = GOOD.replace("name: lab\n", "") if missing == "name" else "name: lab\n"
    assert only(problems_of_topology(tmp_path, text)).field == missing


@pytest.mark.parametrize("nodes", ["  nodes:\n", "  nodes: {}\n", ""])
def test_a_topology_without_nodes_is_refused(tmp_path: Path, nodes: str) -> None:
    problems = problems_of_topology(tmp_path, f"name: lab\ntopology:\n  kinds: {{}}\n{nodes}")
    assert only(problems).expected == "at least one node"


@pytest.mark.parametrize(
    ("value", "prefix", "container"),
    [(None, "clab", "clab-lab-a"), ("''", "", "a"), ("__lab-name", "__lab-name", "lab-a"), ("x", "x", "x-lab-a")],
)
def test_containers_are_named_as_containerlab_names_them(
    tmp_path: Path, value: str | None, prefix: str, container: str
) -> None:
    topology = load_topology(written(tmp_path, GOOD if value is None else f"prefix: {value}\n{GOOD}"))
    assert (topology.prefix, topology.container_name("a")) == (prefix, container)


def test_a_go_template_is_refused_by_name_even_where_it_is_no_yaml(tmp_path: Path) -> None:
    text = GOOD + "{{ range seq 3 }}\n"
    problem = only(problems_of_topology(tmp_path, text))
    assert (problem.line, problem.field) == (9, "template")


def test_a_dollar_in_a_comment_or_before_a_digit_is_no_substitution(tmp_path: Path) -> None:
    text = GOOD.replace("    b: {", "    # $HOME\n    b: {exec: ['awk {print($1)}', 'echo $(id) $?'], ")
    with pytest.raises(BadInput):  # a flow mapping cannot hold that; quoting decides, not the dollar
        load_topology(written(tmp_path, text.replace("'", "")))
    assert load_topology(written(tmp_path, text)).nodes["b"].exec == ("awk {print($1)}", "echo $(id) $?")


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    text = """\
        name: lab
        topology:
          nodes:
            a: &base {kind: linux, image: nospof/base:latest, network-mode: none, env: {A: "1"}}
            b: {<<: *base, env: {B: "2"}}
        """
    nodes = load_topology(written(tmp_path, text)).nodes
    assert (nodes["b"].image, nodes["b"].env) == ("nospof/base:latest", {"B": "2"})


def test_a_collection_that_holds_itself_does_not_hang(tmp_path: Path) -> None:
    assert problems_of_topology(tmp_path, "name: lab\ntopology: &t {nodes: {a: *t}, <<: *t}\n")


def test_the_digest_changes_with_the_file_and_with_what_nodes_bind(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a.conf").write_text("one")
    bound = GOOD.replace("    b: {", "    b: {binds: [conf:/etc/conf], ")
    first = load_topology(written(tmp_path, bound)).digest
    assert load_topology(written(tmp_path, bound)).digest == first
    (tmp_path / "conf/a.conf").write_text("two")
    second = load_topology(written(tmp_path, bound)).digest
    third = load_topology(written(tmp_path, bound + "# a remark\n")).digest
    assert len({first, second, third}) == 3
