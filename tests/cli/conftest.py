"""What the command line's tests share: the real entry point in a process of its own, on a host that looks empty to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TOPOLOGY = """\
name: {name}
topology:
  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none}}
  nodes:
    c: {{labels: {{nospof.role: client}}}}
    s: {{labels: {{nospof.role: l7}}}}
  links:
    - {{endpoints: [c:eth1, s:eth1], mtu: 1500}}
"""
CONTRACT = """\
version: 1
prefixes: [203.0.113.0/24]
services:
  echo: {vip: [203.0.113.20], port: 7, protocol: udp}
budgets:
  kill-node: {black_hole: 300ms}
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Host:
    """A state root of its own, below which a lab would appear, and a lab name nobody else has."""

    state: Path
    files: Path
    lab: str

    def labs(self) -> list[str]:
        """What any command left of labs."""
        below = self.state / "labs"
        return sorted(p.name for p in below.iterdir()) if below.exists() else []

    def nospof(self, *words: str | Path) -> Ended:
        """Runs `python -m cli` with these words."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *map(str, words)],
            cwd=ROOT, env={**os.environ, "NOSPOF_RUN": str(self.state)}, capture_output=True, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def stack(self, edit: Callable[[str], str] = str, *, contract: Callable[[str], str] = str) -> Path:
        """A topology and its contract, each as changed by its editor."""
        path = self.files / "small.clab.yml"
        path.write_text(edit(TOPOLOGY.format(name=self.lab)), encoding="utf-8")
        path.with_name("small.contract.yml").write_text(contract(CONTRACT), encoding="utf-8")
        return path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "run", tmp_path, f"cli{os.getpid()}")
