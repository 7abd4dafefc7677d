"""What holds for any topology and contract: valid ones come back as written, every mistake is found on its line, and
no text whatever makes the reader fail in another way than by naming what is wrong with it."""

from __future__ import annotations

import tempfile
from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.topologies.files import CONTRACT, GOOD, small_topology
from topologies.budget import parse_duration
from topologies.contract import Contract, load_contract
from topologies.model import IMAGES, ROLES, Endpoint, Topology
from topologies.problems import BadInput, Problem
from topologies.source import load_topology

_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(
    # Words that YAML takes for something else than text, and the names that mean the host's side.
    lambda name: (
        name not in {"host", "mgmt-net", "macvlan", "null", "y", "n", "yes", "no", "on", "off", "true", "false"}
    )
)
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="${}"), max_size=12)
_MAPS = st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), _TEXTS)


# A busy host makes an example slow, not wrong.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _load(text: str) -> Topology:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lab.clab.yml"
        path.write_text(text, encoding="utf-8")
        return load_topology(path)


def _load_contract(text: str) -> Contract:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lab.contract.yml"
        path.write_text(text, encoding="utf-8")
        return load_contract(path, small_topology("client", "l4"))


@dataclass
class Written:
    """A valid topology's lines, and what stands in them."""

    lines: list[str] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    links: list[tuple[Endpoint, Endpoint, int]] = field(default_factory=list)
    node_lines: dict[str, int] = field(default_factory=dict)
    link_lines: list[int] = field(default_factory=list)

    def add(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


@st.composite
def topologies(draw: st.DrawFn) -> Written:
    """Nodes and links one per line, with remarks and empty lines strewn in so that line numbers are not regular."""
    names = draw(st.lists(_NAMES, min_size=2, max_size=6, unique=True))
    written = Written()

    def strew() -> None:
        for remark in draw(st.lists(st.sampled_from(["", "# a remark", "  # [ '"]), max_size=2)):
            written.add(remark)

    written.add("name: lab")
    written.add("topology:")
    strew()
    written.add("  defaults: {kind: linux, network-mode: none, image: nospof/base:latest}")
    written.add("  nodes:")
    for name in names:
        strew()
        written.roles[name] = draw(st.sampled_from(ROLES))
        written.node_lines[name] = written.add(f"    {name}: {{labels: {{nospof.role: {written.roles[name]}}}}}")
    written.add("  links:")
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names)).filter(lambda pair: pair[0] != pair[1])
    for number, (one, other) in enumerate(draw(st.lists(pairs, min_size=1, max_size=6))):
        strew()
        ends = (Endpoint(one, f"eth{number}"), Endpoint(other, f"eth{number}"))
        mtu = draw(st.integers(68, 65535))
        written.links.append((*ends, mtu))
        written.link_lines.append(written.add(f'    - {{endpoints: ["{ends[0]}", "{ends[1]}"], mtu: {mtu}}}'))
    return written


@patient
@given(topologies())
def test_a_valid_topology_comes_back_as_it_was_written(written: Written) -> None:
    topology = _load(written.text)
    assert {name: node.role for name, node in topology.nodes.items()} == written.roles
    assert list(topology.nodes) == list(written.roles), "the order of the file is kept"
    assert [(*link.endpoints, link.mtu) for link in topology.links] == written.links
    assert {name: node.line for name, node in topology.nodes.items()} == written.node_lines
    assert [link.line for link in topology.links] == written.link_lines
    for name in topology.nodes:
        ends = [link.end_at(name) for link in topology.links_of(name)]
        assert len(ends) == sum(name in (one.node, other.node) for one, other, _ in written.links)
        assert all(link.end_beyond(name).node != name for link in topology.links_of(name))


@patient
@given(topologies())
def test_how_yaml_is_laid_out_makes_no_difference(written: Written) -> None:
    dumped = yaml.safe_dump(yaml.safe_load(written.text), sort_keys=False, default_flow_style=None)
    one, other = _load(written.text), _load(dumped)
    assert (one.nodes, one.links) == (other.nodes, other.links)


# Each: what is put in the place of what, on a node's or a link's line; the line stays one line.
_NODE_MISTAKES = {
    "unknown key": (": {", ": {imgae: x, "),
    "unsupported key": (": {", ": {ports: [], "),
    "image": (": {", ": {image: frr:latest, "),
    "kind": (": {", ": {kind: bridge, "),
    "network mode": (": {", ": {network-mode: host, "),
    "role": ("nospof.role: ", "nospof.role: x"),
    "label": ("nospof.role", "nospof.rule"),
    "bind": (": {", ": {binds: [/nowhere/at/all:/x], "),
    "shape": (": {", ": {exec: {}, "),
    "command": (": {", ': {cmd: "\'", '),
    "sysctl": (": {", ": {sysctls: {vm.x: 1}, "),
}
_LINK_MISTAKES = {
    "missing node": ('endpoints: ["', 'endpoints: ["nobody-'),
    "unknown key": ("- {", "- {mut: 1, "),
    "mtu": ("mtu: ", "mtu: -"),
    "long interface": (":eth", ":eth-0123456789-"),
    "type": ("- {", "- {type: vxlan, "),
    "shape": ("endpoints: [", "endpoints: [{}, "),
}


@patient
@given(topologies(), st.data())
def test_every_injected_mistake_is_named_with_its_line_and_no_other_line_is(
    written: Written, data: st.DataObject
) -> None:
    broken = set()
    for line in [*written.node_lines.values(), *written.link_lines]:
        mistakes = _NODE_MISTAKES if line in written.node_lines.values() else _LINK_MISTAKES
        choice = data.draw(st.sampled_from([None, *mistakes]), label=f"line {line}")
        if choice is not None:
            old, new = mistakes[choice]
            assert old in written.lines[line - 1]
            written.lines[line - 1] = written.lines[line - 1].replace(old, new, 1)
            broken.add(line)
    if not broken:
        _load(written.text)
        return
    with pytest.raises(BadInput) as caught:
        _load(written.text)
    assert {problem.line for problem in caught.value.problems} == broken


@patient
@given(topologies(), st.data())
def test_a_repeated_endpoint_is_named_on_the_later_line(written: Written, data: st.DataObject) -> None:
    again = data.draw(st.sampled_from([end for one, other, _ in written.links for end in (one, other)]))
    other = next(name for name in written.roles if name != again.node)
    line = written.add(f'    - endpoints: ["{other}:new", "{again}"]')
    with pytest.raises(BadInput) as caught:
        _load(written.text)
    assert [problem.line for problem in caught.value.problems] == [line]


@patient
@given(
    st.lists(_MAPS, min_size=4, max_size=4), st.lists(st.sampled_from([None, *sorted(IMAGES)]), min_size=4, max_size=4)
)
def test_the_more_specific_level_wins_key_by_key(envs: list[dict[str, str]], images: list[str | None]) -> None:
    levels = [{"env": env} | ({"image": image} if image else {}) for env, image in zip(envs, images, strict=True)]
    defaults, kind, group, node = levels
    lab = {
        "name": "lab",
        "topology": {
            "defaults": {"kind": "linux", "network-mode": "none", **defaults},
            "kinds": {"linux": kind},
            "groups": {"g": group},
            "nodes": {"n": {"group": "g", **node}},
        },
    }
    expected_image = next((image for image in reversed(images) if image), None)
    text = yaml.safe_dump(lab, allow_unicode=True)
    if expected_image is None:
        with pytest.raises(BadInput, match="image: found nothing"):
            _load(text)
        return
    read = _load(text).nodes["n"]
    assert read.env == dict(ChainMap(*reversed(envs)))
    assert read.image == expected_image


def _problems_of(load: Callable[[str], object], text: str) -> list[Problem] | None:
    try:
        load(text)
    except BadInput as bad:
        return bad.problems
    return None


def _reads_or_names_what_is_wrong(text: str) -> None:
    for load in (_load, _load_contract):
        problems = _problems_of(load, text)
        assert problems is None or problems, "a refusal says why"
        for problem in problems or []:
            assert 0 <= problem.line <= len(text.splitlines()) + 1
            assert len(str(problem).splitlines()) == 1


@patient
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_no_text_makes_the_reader_fail_in_another_way(text: str) -> None:
    _reads_or_names_what_is_wrong(text)


@patient
@given(st.sampled_from([GOOD, CONTRACT]), st.data())
def test_no_damage_to_a_good_file_makes_the_reader_fail_in_another_way(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        put = data.draw(
            st.sampled_from(
                [
                    "",
                    "[]",
                    "{}",
                    "null",
                    ":",
                    "- ",
                    "*x",
                    "&x ",
                    "<<: ",
                    "!!int ",
                    "'",
                    "\n",
                    "\t",
                    "é",
                    "9" * 20,
                    "%",
                    "~",
                ]
            )
        )
        text = text[:start] + put + text[end:]
    _reads_or_names_what_is_wrong(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@patient
@given(st.sampled_from([GOOD, CONTRACT]), _VALUES, st.data())
def test_no_value_in_any_place_makes_the_reader_fail_in_another_way(
    text: str, value: object, data: st.DataObject
) -> None:
    whole = yaml.safe_load(text)
    here = whole
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        deeper = here[key]
        if not isinstance(deeper, dict | list) or not deeper or data.draw(st.booleans()):
            here[key] = value
            break
        here = deeper
    _reads_or_names_what_is_wrong(yaml.safe_dump(whole, allow_unicode=True))


@patient
@given(
    st.integers(0, 10**9), st.sampled_from([("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)])
)
def test_a_duration_is_exact_to_the_nanosecond(amount: int, unit: tuple[str, int]) -> None:
    name, nanoseconds = unit
    assert parse_duration(f"{amount}{name}") == amount * nanoseconds
    assert parse_duration(f"{amount}.5{name}") == (None if name == "ns" else amount * nanoseconds + nanoseconds // 2)
    assert parse_duration(str(amount)) is None
