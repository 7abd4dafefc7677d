"""A program is found in a node as the node would find it: by its PATH, through its links, and never outside its root."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.linux.rooted import has_program, path_of, programs, within

PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a merged /usr, two programs, a file that is none, and links of every kind."""
    below = tmp_path / "root"
    (below / "usr/bin").mkdir(parents=True)
    (below / "opt/ctl").mkdir(parents=True)
    (below / "bin").symlink_to("usr/bin")
    for name, mode in (("usr/bin/lbctl", 0o755), ("opt/ctl/real", 0o755), ("usr/bin/notes", 0o644)):
        (below / name).touch()
        (below / name).chmod(mode)
    (below / "usr/bin/linked").symlink_to("/opt/ctl/real")
    (below / "usr/bin/relative").symlink_to("../../opt/ctl/real")
    (below / "usr/bin/dangling").symlink_to("/opt/ctl/nowhere")
    (below / "usr/bin/loop").symlink_to("loop")
    (tmp_path / "outside").touch()
    (tmp_path / "outside").chmod(0o755)
    (below / "usr/bin/escaped").symlink_to("../../../outside")
    (below / "usr/bin/host").symlink_to(tmp_path / "outside")
    return below


@pytest.mark.parametrize("program", ["lbctl", "/bin/lbctl", "/usr/bin/../bin/lbctl", "linked", "relative"])
def test_a_program_is_found_by_name_and_by_path_through_links(root: Path, program: str) -> None:
    assert has_program(root, program, PATH)


NONE = ["./lbctl", "nowhere", "notes", "dangling", "loop", "escaped", "host", "/usr/bin"]


@pytest.mark.parametrize("program", NONE)
def test_what_the_node_could_not_run_is_not_there(root: Path, program: str) -> None:
    assert not has_program(root, program, PATH)


def test_a_relative_path_is_taken_from_where_the_node_works(root: Path) -> None:
    assert has_program(root, "./real", PATH, "/opt/ctl")
    assert has_program(root, "real", ":/usr/bin", "/opt/ctl"), "an empty place in PATH is where it works, too"


def test_what_there_is_can_be_named(root: Path) -> None:
    assert {"lbctl", "linked"} <= programs(root, PATH)
    assert within(root, "/../../usr") == root / "usr"


def test_the_path_is_that_of_the_environment_or_the_one_that_libc_has() -> None:
    assert path_of(["HOME=/", "PATH=/opt"]) == "/opt"
    assert path_of([]) == "/bin:/usr/bin"
