"""How late an ordinary process is woken: recorded waking by waking, and never missed for not having come round."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from probes.child import ProbeError
from probes.readings import read_wakeups
from probes.trust import TrustInput, check_trust
from probes.wakeups import Wakeups
from tests.probes.conftest import ROOT, run_for, wait_until
from topologies.image.native import compile_program

MS = 1_000_000
INTERVAL = 5 * MS


@pytest.fixture
def wakeups(scratch: Path) -> Iterator[Wakeups]:
    with Wakeups(compile_program(ROOT / "probes/native/wakeups.c"), scratch) as started:
        yield started


def doubted(wakeups: Wakeups, t0: int, t1: int) -> set[str]:
    given = TrustInput((), (), 0, 0, wakeups=read_wakeups(wakeups, t0, t0, t1))
    return {c.check for c in check_trust(given) if c.check.startswith("lab-") and not c.ok}


def test_every_waking_that_was_due_is_told(wakeups: Wakeups) -> None:
    t0, t1 = run_for(400)
    late = wakeups.lateness(t0, t1)
    assert len(late) == pytest.approx((t1 - t0) / INTERVAL, abs=1)
    assert np.all(late >= 0)
    # what is told of the past stays so
    assert np.array_equal(late[:-40], wakeups.lateness(t0, t1)[:-40])


def test_a_process_that_is_not_let_run_is_late_by_all_of_that_time(wakeups: Wakeups) -> None:
    t0, _ = run_for(50)
    os.kill(wakeups.pid, signal.SIGSTOP)
    stopped, t1 = run_for(300)
    during = wakeups.lateness(t0, t1)
    assert doubted(wakeups, t0, t1) == {"lab-lateness", "lab-stall"}  # at once, and not only when it runs again
    os.kill(wakeups.pid, signal.SIGCONT)
    wait_until(lambda: len(wakeups.lateness(t1, time.monotonic_ns())) > 20, "more wakings")
    after = wakeups.lateness(t0, t1)
    for late in (during, after):
        assert late.max() >= t1 - stopped - INTERVAL
        # each waking of that time with its own lateness: half of them were later than half of it
        assert np.count_nonzero(late > (t1 - stopped) / 2) >= 300 * MS / INTERVAL / 2 - 2
    assert doubted(wakeups, t0, t1) == {"lab-lateness", "lab-stall"}


def test_one_wait_among_many_wakings_is_seen_from_the_event_on(wakeups: Wakeups) -> None:
    t0, event = run_for(50)
    os.kill(wakeups.pid, signal.SIGSTOP)
    run_for(100)
    os.kill(wakeups.pid, signal.SIGCONT)
    _, t1 = run_for(2500)
    reading = read_wakeups(wakeups, t0, event, t1)
    assert (reading.stall_ns or 0) >= 100 * MS - INTERVAL
    assert read_wakeups(wakeups, t0, t1 - 500 * MS, t1).before_p99_ns > 10 * MS, "and before it where it began before"
    assert (read_wakeups(wakeups, t0, t1 - 500 * MS, t1).stall_ns or 0) < (reading.stall_ns or 0)


def test_one_that_has_ended_is_no_sign_that_all_is_well(wakeups: Wakeups) -> None:
    t0, _ = run_for(50)
    os.kill(wakeups.pid, signal.SIGKILL)
    wait_until(lambda: not wakeups.alive(), "its end")
    _, t1 = run_for(100)
    assert doubted(wakeups, t0, t1) == {"lab-watch"}
    assert len(wakeups.lateness(t0, t1)) == pytest.approx((t1 - t0) / INTERVAL, abs=1)


def test_a_window_that_is_no_longer_held_is_refused(scratch: Path) -> None:
    with Wakeups(compile_program(ROOT / "probes/native/wakeups.c"), scratch, interval_ns=2_000, work_ns=0) as quick:
        began = time.monotonic_ns()
        wait_until(lambda: int(quick._header["next"]) > 280_000, "more wakings than are held")
        with pytest.raises(ProbeError, match="and the records hold 262144"):
            quick.lateness(began, began + MS)


def test_a_killed_harness_leaves_none(scratch: Path) -> None:
    script = (
        "import signal; from pathlib import Path; from probes.wakeups import Wakeups\n"
        f"w = Wakeups(Path({str(compile_program(ROOT / 'probes/native/wakeups.c'))!r}), Path({str(scratch)!r}))\n"
        "w.start(); print(w.pid, flush=True); signal.pause()\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert harness.stdout is not None
    pid = int(harness.stdout.readline())
    assert Path(f"/proc/{pid}/comm").read_text() == "wakeups\n"
    harness.kill()
    harness.wait()
    harness.stdout.close()
    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists(), f"the end of wakeups {pid}")
