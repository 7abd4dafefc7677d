"""A node that was killed starts as after a boot: nothing that it left in /run or /tmp keeps it from coming back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import Describe, Up
from topologies.image import store
from topologies.image.importing import import_image
from topologies.image.native import compile_program
from topologies.runtimes import LinuxLab, destroy, images_of
from topologies.source import load_topology

pytestmark = pytest.mark.lab
# Refuses to start beside a pid file, as daemons do; then says what it found, and leaves more.
DAEMON = """\
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void list(const char *path) {
    struct dirent *one;
    DIR *at = opendir(path);
    printf(" %s:", path);
    while (at && (one = readdir(at)))
        if (one->d_name[0] != '.' && strncmp(one->d_name, "nospof-", 7)) printf(" %s", one->d_name);
}
static int make(const char *path) { return open(path, O_CREAT | O_EXCL | O_RDWR, 0644) >= 0; }
int main(int argc, char **argv) {
    char word[32] = "";
    if (argc > 1) return access(argv[1], R_OK) != 0;
    int kept = open("/run/daemon/word", O_RDONLY);
    if (kept < 0 || read(kept, word, sizeof word - 1) < 0) { printf("no word\\n"); return 1; }
    list("/run"); list("/tmp"); list("/var/run");
    if (!make("/run/daemon/pid") || !make("/tmp/lock") || !make("/var/run/lock")) { printf(" stale\\n"); return 1; }
    printf(" began with %s\\n", word);
    fflush(stdout);
    unlink("/run/daemon/word");
    make("/etc/kept");
    for (;;) pause();
}
"""
BEGAN = " /run: daemon /tmp: /var/run: old began with image"


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    root = tmp_path / "root"
    for place in ("etc", "run/daemon", "tmp", "var/run/old"):
        (root / place).mkdir(parents=True)
    (root / "run/daemon/word").write_text("image")
    (tmp_path / "daemon.c").write_text(DAEMON)
    shutil.copy(compile_program(tmp_path / "daemon.c"), root / "daemon")
    name = f"test/daemon-{os.urandom(4).hex()}:1"
    import_image(str(root), name)
    yield name
    store.remove(name)


@pytest.fixture
def lab(image: str, tmp_path: Path, up: Up) -> Iterator[LinuxLab]:
    (tmp_path / "bound").write_text("bound")
    node = (
        f"{{kind: linux, network-mode: none, image: '{image}', cmd: /daemon, binds: ['{tmp_path}/bound:/run/bound']}}"
    )
    path = tmp_path / f"empty{os.getpid()}.clab.yml"
    path.write_text(f"name: {path.name.partition('.')[0]}\ntopology:\n  nodes:\n    a: {node}\n")
    topology = load_topology(path, images_of("oci"))
    yield up(topology)
    destroy(topology.name)


def test_a_brought_image_s_program_comes_back_after_a_kill(lab: LinuxLab) -> None:
    began = BEGAN.replace("daemon", "bound daemon", 1), BEGAN.replace("daemon", "daemon bound", 1)
    for start in (1, 2, 3):
        wait_until(lambda: len(lab.log("a").splitlines()) == start, f"word of start {start}")  # noqa: B023
        assert lab.log("a").splitlines()[-1] in began
        assert lab.exec("a", ["/daemon", "/run/daemon/pid"]).code == 0, "exec sees the same"
        assert lab.exec("a", ["/daemon", "/run/bound"]).code == 0, "binds there stay"
        assert lab.exec("a", ["/daemon", "/etc/kept"]).code == 0, "other files are kept, as on a disk"
        lab.kill(["a"])
        lab.restart(["a"])


def test_a_node_of_ours_starts_empty_too_and_its_exec_lines_are_run_again(describe: Describe, up: Up) -> None:
    lab = up(describe("  nodes:\n    a: {exec: [touch /run/by-exec]}\n"))
    assert lab.exec("a", ["touch", "/run/left", "/tmp/left", "/etc/kept"]).code == 0
    lab.kill(["a"])
    lab.restart(["a"])
    assert lab.exec("a", ["ls", "/tmp"]).out == ""
    assert "left" not in lab.exec("a", ["ls", "/run"]).out
    assert lab.exec("a", ["ls", "/run/by-exec", "/etc/kept"]).code == 0
