"""What the tests of the instruments share: a small wire, the prober, a scratch folder on tmpfs, a way to wait."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.prober import Prober
from probes.readings import read_prober
from probes.trust import TrustInput, check_trust
from tests.probes.wire import Wire, wire
from topologies.image.native import compile_program

MS = 1_000_000
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


def run_for(ms: int) -> tuple[int, int]:
    """A window of that length, waited for."""
    t0 = time.monotonic_ns()
    wait_until_ns(t0 + ms * MS)
    return t0, time.monotonic_ns()


def warm(prober: Prober) -> None:
    """Until neighbours are resolved and every flow is being answered."""
    # the prober lets answers wait for 50 ms before it reads several at once
    wait_until(lambda: prober.quiet_since(time.monotonic_ns() - 200 * MS, grace_ns=100 * MS), "answers on every flow")


def settle(prober: Prober, t1_ns: int) -> None:
    """Until what was due before t1 has had 300 ms to be answered."""
    wait_until_ns(t1_ns + 300 * MS)
    assert prober.alive()


def failed_checks(prober: Prober, t0: int, t1: int) -> set[str]:
    """Names of the trust checks that a prober's own readings of a window fail."""
    reading = read_prober(prober, prober.window(t0, t1))
    given = TrustInput((reading,), (), 0, 0)
    return {c.check for c in check_trust(given) if not c.ok}
