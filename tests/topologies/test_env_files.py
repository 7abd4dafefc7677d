"""Files of variables: what is read is what containerlab reads, and what is not read is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.files import GOOD, only, problems_of_topology, written
from topologies.env_files import read_env_file
from topologies.source import load_topology


def read(directory: Path, text: str) -> dict[str, str]:
    file = directory / "x.env"
    file.write_text(text, encoding="utf-8")
    return read_env_file(file)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"), ("  A = 1  ", "1"), ("export A=1", "1"), ("A=", ""), ("A=one two", "one two"),
        ("A=x # a remark", "x"), ("A=x#y", "x#y"), ("A='x # y'", "x # y"), ('A="x # y" # z', "x # y"),
        ("A='$HOME \\\\ as it is'", "$HOME \\\\ as it is"), ("A: 1", "1"), ("A='b=c'", "b=c"),
    ],
)  # fmt: skip
def test_a_line_is_a_variable(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# first\n\n{line}\n") == {"A": value}


@pytest.mark.parametrize("line", ["A", "=1", "1A=2", "A='x", 'A="x" y', "A=$HOME", 'A="${B}"', 'A="a\\\\nb"'])
def test_what_is_not_read_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        read(tmp_path, f"B=1\n{line}\n")
    text = GOOD.replace("    b: {", "    b: {env-files: [x.env], ")
    assert "line 2: " in only(problems_of_topology(tmp_path, text)).found


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True), st.text('abc #=:$\\\\"', max_size=9)))
def test_what_is_written_in_single_quotes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]
) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in env.items())
    assert read(tmp_path_factory.mktemp("env"), text) == env


def test_levels_add_up_and_env_wins(tmp_path: Path) -> None:
    (tmp_path / "one.env").write_text("A=one\nB=one\nC=one\n")
    (tmp_path / "two.env").write_text("B=two\nC=two\n")
    text = GOOD.replace("defaults: {", "defaults: {env-files: [one.env], ").replace(
        "    b: {", "    b: {env-files: [two.env], env: {C: three}, "
    )
    lab = load_topology(written(tmp_path, text))
    assert lab.nodes["b"].env == {"A": "one", "B": "two", "C": "three"}
    (tmp_path / "two.env").write_text("B=other\n")
    assert load_topology(written(tmp_path, text)).digest != lab.digest, "they are part of what the lab is"
