"""Variables in a topology file are replaced as containerlab replaces them, and what is not set stays what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import GOOD, line_of, only, problems_of_topology, written
from topologies.source import load_topology
from topologies.substitution import SubstitutionError, substitute

SET = {"IMAGE": "nospof/base", "EMPTY": "", "N": "7"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$IMAGE:latest", "nospof/base:latest"),
        ("${IMAGE}", "nospof/base"),
        ("$NOT_SET and ${NOT_SET}", "$NOT_SET and ${NOT_SET}"),
        ("${NOT_SET:=default} ${NOT_SET:-x} ${NOT_SET=y} ${NOT_SET-z}", "default x y z"),
        ("${EMPTY:=default}|${EMPTY=default}", "default|"),
        ("${IMAGE:=default}", "nospof/base"),
        ("${IMAGE:+given}${EMPTY:+given}${EMPTY+set}", "givenset"),
        ("${NOT_SET:=${N}${N}}", "77"),
        ("P4s$$ costs 5$ and $1 or $(date)", "P4s$$ costs 5$ and $1 or $(date)"),
    ],
)
def test_a_variable_is_its_value_or_its_default_or_itself(text: str, expected: str) -> None:
    assert substitute(text, SET) == expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="$")))
def test_text_without_a_dollar_stays_as_it_is(text: str) -> None:
    assert substitute(text, SET) == text


@given(st.text(alphabet="${}:=-+N_ a\n"))
def test_any_text_is_read_or_refused_with_a_line_of_it(text: str) -> None:
    line = 1
    try:
        substitute(text, SET)
    except SubstitutionError as error:
        line = error.line
    assert 1 <= line <= text.count("\n") + 1


def test_a_file_is_read_with_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOSPOF_TEST_REGION", "mars")
    text = GOOD.replace("nospof.region: eu}}", "nospof.region: $NOSPOF_TEST_REGION}}", 1)
    text = text.replace("name: lab", "name: ${NOSPOF_TEST_NAME:=fallback}")
    topology = load_topology(written(tmp_path, text))
    assert (topology.name, topology.nodes["a"].region) == ("fallback", "mars")
    assert topology.variables == {"NOSPOF_TEST_REGION": "mars"}
    monkeypatch.setenv("NOSPOF_TEST_REGION", "venus")
    assert load_topology(topology.path, variables=topology.variables).nodes["a"].region == "mars", "as it was deployed"


@pytest.mark.parametrize("wrong", ["${", "${}", "${N?}", "${N:=", "$$N"])
def test_what_is_no_variable_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    text = GOOD + f"# {wrong}\n"
    problem = only(problems_of_topology(tmp_path, text))
    assert (problem.field, problem.line) == ("substitution", line_of(text, f"# {wrong}"))
