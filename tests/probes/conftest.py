"""What the tests of the instruments share: a small wire, the prober, a scratch folder on tmpfs, a way to wait."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.probes.wire import Wire, wire
from topologies.image.native import compile_program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prober_binary() -> Path:
    return compile_program(ROOT / "probes/native/prober.c")


@pytest.fixture
def lab() -> Iterator[Wire]:
    with wire() as built:
        yield built


@pytest.fixture
def scratch() -> Iterator[Path]:
    """On tmpfs: what is measured here are milliseconds, and a disk would add its own."""
    path = Path(tempfile.mkdtemp(prefix="nospof-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def wait_until(condition: Callable[[], bool], missing: str, deadline_s: float = 8.0) -> None:
    """Returns when the condition holds; fails at the deadline, saying what was missing."""
    end = time.monotonic() + deadline_s
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"after {deadline_s:g} s: {missing}"
        tick.wait(0.005)


def wait_until_ns(t_ns: int) -> None:
    """Returns when CLOCK_MONOTONIC has reached `t_ns`."""
    wait_until(lambda: time.monotonic_ns() >= t_ns, "time itself", deadline_s=60)
