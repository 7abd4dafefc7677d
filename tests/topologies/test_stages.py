"""Stages are read as containerlab has them, and who could wait for ever is told so with the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import GOOD, line_of, only, problems_of_topology, written
from topologies.source import load_topology
from topologies.stages import Healthcheck, StageCommand, StagePlan, Stages, WaitFor, problems_of_order

BOTH = """\
name: lab
topology:
  defaults:
    kind: linux
    image: nospof/base:latest
    network-mode: none
    stages: {configure: {exec: [{command: logger here, target: host}]}}
  nodes:
    a:
      startup-delay: 2
      healthcheck: {test: [CMD-SHELL, "test -e /ready"], interval: 1, retries: 9, start-period: 3}
    b:
      stages:
        create: {wait-for: [{node: a, stage: healthy}]}
        configure:
          exec: [{command: "sh -c 'echo done'", phase: on-exit}]
"""


def test_stages_of_all_levels_add_up(tmp_path: Path) -> None:
    nodes = load_topology(written(tmp_path, BOTH)).nodes
    host = StageCommand(("logger", "here"), on_host=True)
    assert nodes["a"].stages == {"configure": StagePlan((), (host,))}
    assert nodes["a"].startup_delay == 2
    assert nodes["a"].healthcheck == Healthcheck(("/bin/sh", "-c", "test -e /ready"), 1, 30, 9, 3)
    assert nodes["b"].stages == {
        "configure": StagePlan((), (host, StageCommand(("sh", "-c", "echo done"), on_exit=True))),
        "create": StagePlan((WaitFor("a", "healthy"),)),
    }


@pytest.mark.parametrize(
    ("stages", "where", "said"),
    [
        ("{born: {}}", "born", "unknown key"),
        ("{create: {wait-for: [{node: a, stage: borne}]}}", "a, stage", "'borne'"),
        ("{create: {wait-for: [{stage: create}]}}", "stage: create", "nothing"),
        ("{create: {wait-for: [{node: c}]}}", "node: c", "waits for node 'c'"),
        ("{create: {wait-for: [{node: a, stage: healthy}]}}", "node: a", "a to be healthy"),
        ("{create: {wait-for: [{node: b}]}}", "node: b", "b waits for b"),
        ("{exit: {exec: [{phase: on-exit}]}}", "phase", "nothing"),
        ('{exit: {exec: [{command: "it\'s"}]}}', "command", "it's"),
        ("{create: {exec: [{command: ls}]}}", "command", "'ls'"),
    ],
)
def test_what_could_never_be_is_refused_with_its_line(tmp_path: Path, stages: str, where: str, said: str) -> None:
    text = GOOD.replace("    b: {", f"    b: {{stages: {stages}, ", 1)
    problem = only(problems_of_topology(tmp_path, text))
    assert said in f"{problem.found} {problem.expected}"
    assert problem.line == line_of(text, where)


@pytest.mark.parametrize("test", ["[]", "[CMD]", "[CMD-SHELL, a, b]", "[ping]"])
def test_a_healthcheck_says_how_it_is_run(tmp_path: Path, test: str) -> None:
    text = BOTH.replace('[CMD-SHELL, "test -e /ready"]', test)
    problems = problems_of_topology(tmp_path, text)
    assert any("CMD-SHELL" in problem.expected for problem in problems)


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.sets(NAMES), min_size=1))
def test_an_order_is_refused_exactly_if_some_node_waits_for_itself(waits: dict[str, set[str]]) -> None:
    stages: dict[str, Stages] = {
        node: {"create": StagePlan(tuple(WaitFor(other, "create", 7) for other in sorted(others)))}
        for node, others in waits.items()
    }
    for others in waits.values():
        for other in others:
            stages.setdefault(other, {})
    reached = {node: set(others) for node, others in waits.items()}
    for _ in stages:
        for others in reached.values():
            others |= {far for near in others for far in reached.get(near, set())}
    assert bool(problems_of_order(stages, ())) == any(node in others for node, others in reached.items())
