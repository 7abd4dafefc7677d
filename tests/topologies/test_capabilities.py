"""Which capabilities a node gets: what the host has, without those that reach beyond the node unless it asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import GOOD, written
from topologies.capabilities import ALL, NAMES, ONLY_ASKED, beyond, granted, named, of_bits
from topologies.source import load_topology

some = st.sets(st.sampled_from(NAMES))


@given(some, some)
def test_a_node_gets_what_the_host_has_and_of_what_reaches_beyond_it_only_what_it_asks_for(
    host: set[str], asked: set[str]
) -> None:
    got = set(granted(host, asked))
    assert got <= host
    assert got & ONLY_ASKED == host & asked & ONLY_ASKED
    assert got - ONLY_ASKED == host - ONLY_ASKED
    assert set(granted(host, {ALL})) == host
    assert set(beyond(host, asked)) == asked - host
    assert beyond(host, [ALL]) == ()


@given(some)
def test_a_mask_has_the_bit_of_each_at_its_number(names: set[str]) -> None:
    assert set(of_bits(sum(1 << NAMES.index(name) for name in names))) == names


@pytest.mark.parametrize("text", ["SYS_TIME", "CAP_SYS_TIME", "sys_time", "cap_sys_time"])
def test_a_name_may_be_written_as_containerlab_and_docker_take_it(text: str) -> None:
    assert named(text) == "SYS_TIME"
    assert named("all") == ALL
    assert named(f"{text}S") is None


def test_what_a_file_asks_for_is_added_up_over_its_levels(tmp_path: Path) -> None:
    text = GOOD.replace("defaults: {", "defaults: {cap-add: [CAP_MKNOD], ").replace(
        "    b: {", "    b: {cap-add: [sys_time], "
    )
    nodes = load_topology(written(tmp_path, text)).nodes
    assert nodes["a"].capabilities == ("MKNOD",)
    assert set(nodes["b"].capabilities) == {"MKNOD", "SYS_TIME"}
