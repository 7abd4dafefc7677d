"""Programs of one source and of several, compiled once each and anew when any part of them changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from topologies.image.native import CompileError, compile_program


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOSPOF_CACHE", str(tmp_path / "cache"))
    main = tmp_path / "told.c"
    main.write_text('#include <stdio.h>\n#include "told/told.h"\nint main(void) { return puts(word()) < 0; }\n')
    (tmp_path / "told").mkdir()
    (tmp_path / "told/told.h").write_text('#define WORD "one"\nconst char *word(void);\n')
    (tmp_path / "told/word.c").write_text('#include "told.h"\nconst char *word(void) { return WORD; }\n')
    return main


def says(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def test_sources_in_a_folder_of_its_name_are_part_of_a_program(source: Path) -> None:
    first = compile_program(source)
    assert first.name == "told"
    assert says(first) == "one"
    assert compile_program(source) == first


@pytest.mark.parametrize("part", ["told.h", "word.c"])
def test_a_change_in_any_part_makes_another_program(source: Path, part: str) -> None:
    first = compile_program(source)
    changed = source.with_suffix("") / part
    changed.write_text(changed.read_text().replace("WORD", "WORD ", 1) + "/* changed */\n")
    assert compile_program(source) != first


def test_a_change_in_a_header_of_another_folder_makes_another_program(source: Path) -> None:
    (source.parent / "shared").mkdir()
    shared = source.parent / "shared/more.h"
    shared.write_text("/* one */\n")
    told = source.with_suffix("") / "told.h"
    told.write_text(told.read_text() + '#include "../shared/more.h"\n')
    first = compile_program(source)
    assert compile_program(source) == first
    shared.write_text("/* two */\n")
    assert compile_program(source) != first


def test_what_does_not_compile_is_told_in_the_compilers_words(source: Path) -> None:
    (source.with_suffix("") / "word.c").write_text("const char *word(void) { return missing; }\n")
    with pytest.raises(CompileError, match="missing"):
        compile_program(source)
