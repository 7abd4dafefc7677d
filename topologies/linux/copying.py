"""Files into nodes and out of them, whatever their images have. It trusts no path of a node's: links in it end in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from topologies.runtime import RuntimeFailure

# A process of ours goes where the node's root is, and only there opens the path: a symbolic link cannot lead out of the node.
_INTO = """\
import os, shutil, sys
_, root, path, mode = sys.argv
try:
    os.chroot(root), os.chdir("/")
    with open(path, "wb") as target:
        shutil.copyfileobj(sys.stdin.buffer, target)
        os.fchmod(target.fileno(), int(mode))
except OSError as error:
    sys.exit(f"{path}: {error.strerror}")
"""
_OUT = """\
import os, shutil, sys
_, root, path = sys.argv
try:
    os.chroot(root), os.chdir("/")
    with open(path, "rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()
except OSError as error:
    sys.exit(f"{path}: {error.strerror}")
"""


def _root(pid: int) -> str:
    return f"/proc/{pid}/root"


def _said(node: str, done: subprocess.CompletedProcess[bytes]) -> RuntimeFailure:
    words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return RuntimeFailure(f"node {node}: {words[0] if words else f'copying ended with {done.returncode}'}")


def copy_in(node: str, pid: int, source: Path, target: str) -> None:
    """The host's file at `target` in the node whose first process that is, with its mode. Raises RuntimeFailure, OSError."""
    with source.open("rb") as file:
        argv = [sys.executable, "-I", "-c", _INTO, _root(pid), target, str(source.stat().st_mode & 0o7777)]
        done = subprocess.run(argv, stdin=file, capture_output=True, check=False)
    if done.returncode != 0:
        raise _said(node, done)


def copy_out(node: str, pid: int, source: str, target: Path) -> None:
    """The node's file at `target` on the host, whole or not at all. Raises RuntimeFailure, OSError."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            argv = [sys.executable, "-I", "-c", _OUT, _root(pid), source]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise _said(node, done)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
