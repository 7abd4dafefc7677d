"""The installed `containerlab` binary: found, its version read, and run. It knows no lab's nodes and nothing of Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from topologies.runtime import RuntimeFailure, RuntimeMissing

OLDEST = (0, 68, 0)  # from here on it says what it did as one JSON object per lab
INSTALL = "https://containerlab.dev/install says how to install it; nospof's own runtime needs nothing: --runtime oci"
_VERSION = re.compile(r"version:\s*v?(\d+)\.(\d+)\.(\d+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
DEPLOY_S = 600.0
SAID = 4  # lines of its own that an error repeats


def binary() -> str:
    """Where it is. Raises RuntimeMissing when there is none."""
    found = shutil.which("containerlab")
    if found is None:
        raise RuntimeMissing(f"containerlab is not installed; {INSTALL}")
    return found


def version() -> tuple[int, int, int]:
    """Of the installed binary. Raises RuntimeMissing when there is none, or it is too old to be understood."""
    done = subprocess.run([binary(), "version"], capture_output=True, text=True, check=False, timeout=30)
    found = _VERSION.search(done.stdout)
    if found is None:
        raise RuntimeMissing(f"`containerlab version` said no version: {(done.stdout + done.stderr).strip()[:200]!r}")
    major, minor, patch = map(int, found.groups())
    if (major, minor, patch) < OLDEST:
        raise RuntimeMissing(
            f"containerlab {major}.{minor}.{patch} is too old: {'.'.join(map(str, OLDEST))} or newer is needed; {INSTALL}"
        )
    return major, minor, patch


def environment(directory: Path) -> dict[str, str]:
    """For every call about a lab: what it writes goes to `directory`, and nobody is asked for news of a newer version."""
    return {**os.environ, "CLAB_LABDIR_BASE": str(directory), "CLAB_VERSION_CHECK": "disable"}


def run(arguments: Sequence[str], directory: Path, *, timeout_s: float = DEPLOY_S) -> str:
    """Its standard output. It dies with us: what it was about is taken back by `destroy`. Raises RuntimeFailure with its words."""
    command = ["setpriv", "--pdeathsig", "KILL", binary(), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env=environment(directory),
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeFailure(f"`containerlab {arguments[0]}` did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in _COLOUR.sub("", done.stderr + done.stdout).splitlines() if line.strip()]
        raise RuntimeFailure(f"`containerlab {arguments[0]}` ended with {done.returncode}: {' / '.join(lines[-SAID:])}")
    return done.stdout


def deploy(topology: Path, directory: Path) -> None:
    """A lab of this file. Raises RuntimeFailure."""
    run(["deploy", "--topo", str(topology), "--format", "json"], directory)


def destroy(lab: str, directory: Path) -> None:
    """Takes that lab down with all that containerlab wrote for it. Raises RuntimeFailure."""
    run(["destroy", "--name", lab, "--cleanup"], directory)


def complaints(topology: Path) -> str:
    """What `containerlab validate` says against a file; empty where it takes it."""
    done = subprocess.run(
        [binary(), "validate", "--topo", str(topology)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(topology.parent),
    )
    return "" if done.returncode == 0 else _COLOUR.sub("", done.stderr + done.stdout).strip() or "refused"
