"""A small image of a static program that says who it is and then waits, in every form in which images travel."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from topologies.image.native import compile_program

SAYS = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char where[256];
    printf("uid=%d gid=%d cwd=%s MODE=%s", getuid(), getgid(), getcwd(where, sizeof where), getenv("MODE"));
    for (int i = 1; i < argc; i++) printf(" %s", argv[i]);
    printf("\\n");
    fflush(stdout);
    if (argc > 1 && !strcmp(argv[1], "once")) return 0;
    for (;;) pause();
}
"""
SAID = "uid=1234 gid=1234 cwd=/srv MODE=loud"


def need_tools() -> None:
    """Skips where images cannot be made; in CI that is a failure."""
    if not (shutil.which("skopeo") and shutil.which("umoci")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("skopeo and umoci are not installed")


def _run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@dataclass(frozen=True)
class Small:
    """`layout` is an OCI layout with the one tag `it`."""

    name: str
    layout: Path

    def docker_archive(self, path: Path) -> Path:
        _run("skopeo", "--insecure-policy", "copy", f"oci:{self.layout}:it", f"docker-archive:{path}:{self.name}")
        return path

    def oci_archive(self, path: Path) -> Path:
        _run("tar", "-C", self.layout, "-cf", path, ".")
        return path


def root_of(where: Path) -> Path:
    """A root file system with nothing but the program `/say` and a user."""
    (where / "root/etc").mkdir(parents=True)
    (where / "root/srv").mkdir()
    (where / "root/etc/passwd").write_text("root:x:0:0::/:/say\nsayer:x:1234:1234::/:/say\n")
    (where / "root/etc/group").write_text("root:x:0:\nsayer:x:1234:\n")
    (where / "say.c").write_text(SAYS)
    shutil.copy(compile_program(where / "say.c"), where / "root/say")
    return where / "root"


def make(where: Path, name: str, *, architecture: str = "") -> Small:
    """The image, its layout made by umoci."""
    need_tools()
    root, layout = root_of(where), where / "layout"
    _run("umoci", "init", "--layout", layout)
    _run("umoci", "new", "--image", f"{layout}:it")
    for part in ("etc", "srv", "say"):
        _run("umoci", "insert", "--image", f"{layout}:it", root / part, f"/{part}")
    settings = ["--config.entrypoint", "/say", "--config.cmd", "hello", "--config.env", "MODE=loud"]
    settings += ["--config.user", "sayer", "--config.workingdir", "/srv"]
    _run(
        "umoci",
        "config",
        "--image",
        f"{layout}:it",
        *settings,
        *(["--architecture", architecture] if architecture else []),
    )
    return Small(name, layout)
