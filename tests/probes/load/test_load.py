"""Locust itself against servers that work, stop, refuse and die: what it says of them, and what becomes of its parts."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from probes.load import LoadError, LoadRun, Target
from tests.probes.conftest import ROOT, wait_until_ns
from tests.probes.load.conftest import WEB, load_run, site, wait_until
from tests.probes.load.test_locustfile import GOOD
from tests.probes.wire import SERVER, SERVER6, Wire

pytestmark = pytest.mark.lab

MS = 1_000_000
WEB6 = Target("web6", SERVER6, 80, "web.test", "/")


def asked(run: LoadRun, vantage: str, since: int, count: int) -> bool:
    return len([r for r in run.requests(vantage, since, time.monotonic_ns()) if r.failure is None]) >= count


def test_every_vantage_asks_every_target_on_schedule(lab: Wire, scratch: Path) -> None:
    site(lab)
    site(lab, SERVER6)
    vantages = {"us": lab.netns("c"), "eu": lab.netns("c")}
    with LoadRun(scratch, vantages, (WEB, WEB6), users=3, rate_per_s=60) as run:
        begun = time.monotonic_ns()
        assert run.alive()
        assert run.missing() == ""
        assert set(run.pids) == {"us", "eu", "master"}
        wait_until(lambda: all(asked(run, v, begun, 60) for v in vantages), "sixty answers each")
        seen = [run.requests(v, 0, time.monotonic_ns()) for v in vantages]
        for requests in seen:
            assert {r.target for r in requests} == {0, 1}
            assert {(r.status, r.failure) for r in requests} == {(200, None)}
            assert {r.user for r in requests} == {0, 1, 2}
            assert all(r.intended_ns is not None and r.intended_ns <= r.start_ns < r.end_ns for r in requests)
            for target, interval_ms in ((0, 66), (1, 33)):  # two users share the first, one has the second
                due = sorted(r.due_ns for r in requests if r.target == target and r.user in (0, 2))
                assert {round((b - a) // MS) for a, b in itertools.pairwise(due)} == {interval_ms}
        t1 = time.monotonic_ns()
        due = 60 * (t1 - begun) / 1e9
        wait_until(lambda: run.figures("eu", "control", begun, t1).requests >= due - 3, "all that was due, in the log")
        figures = run.figures("eu", "control", begun, t1)
    assert (figures.vantage, figures.users, figures.failures, figures.paced) == ("eu", 3, 0, True)
    assert figures.requests <= due + 3
    assert run.figures("eu", "control", begun, t1).requests >= figures.requests  # they stay readable
    assert not any(Path(f"/proc/{pid}").exists() for pid in run.pids.values())


def test_a_target_out_of_one_vantages_reach_is_asked_by_the_others_alone(lab: Wire, scratch: Path) -> None:
    site(lab)  # and nothing at the second address
    vantages = {"us": lab.netns("c"), "eu": lab.netns("c")}
    away = [(v, SERVER6) for v in vantages]
    with LoadRun(scratch, vantages, (WEB, WEB6), users=3, rate_per_s=60, unreached=away) as run:
        assert run.missing() == ""
        begun = time.monotonic_ns()
        wait_until(lambda: all(asked(run, v, begun, 40) for v in vantages), "forty answers each")
        assert {r.target for v in vantages for r in run.requests(v, 0, time.monotonic_ns())} == {0}
    site(lab, SERVER6)
    with LoadRun(scratch, vantages, (WEB6, WEB), users=3, rate_per_s=60, unreached=away[:1]) as run:
        begun = time.monotonic_ns()
        wait_until(lambda: all(asked(run, v, begun, 40) for v in vantages), "forty answers each")
        targets = {v: {r.target for r in run.requests(v, 0, time.monotonic_ns())} for v in vantages}
    assert targets == {"us": {1}, "eu": {0, 1}}


def test_a_vantage_that_reaches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a target for eu"):
        LoadRun(tmp_path, {"eu": tmp_path}, (WEB,), users=1, rate_per_s=1, unreached=[("eu", WEB.vip)])


def test_a_known_freeze_is_in_the_corrected_p99_and_not_in_the_raw_one(lab: Wire, scratch: Path) -> None:
    server = lab.responder("http", SERVER, "80", "be-1")
    with load_run(lab, scratch, "c", users=1, rate_per_s=100) as run:
        t0 = time.monotonic_ns()
        wait_until(lambda: asked(run, "c", t0, 100), "a second of answers before")
        server.send_signal(signal.SIGSTOP)
        frozen = time.monotonic_ns()
        wait_until_ns(frozen + 412 * MS)
        server.send_signal(signal.SIGCONT)
        thawed = time.monotonic_ns()
        wait_until(lambda: asked(run, "c", thawed, 100), "a second of answers after")
        t1 = time.monotonic_ns()
        wait_until(lambda: not run.figures("c", "fault", t0, t1).failures, "none unanswered")
        seen = run.figures("c", "fault", t0, t1)
    freeze_ms = (thawed - frozen) / MS
    assert seen.raw.max is not None
    assert seen.raw.p99 is not None
    assert seen.corrected.p99 is not None
    assert seen.raw.max > 0.9 * freeze_ms
    above = 0.01 * seen.requests * 10  # ms: that share of requests, 10 ms apart, is slower than the p99
    assert seen.corrected.p99 > freeze_ms - above - 20
    assert seen.raw.p99 < seen.corrected.p99 / 2


def test_a_server_that_goes_away_is_told_by_reason(lab: Wire, scratch: Path) -> None:
    server = site(lab)
    with load_run(lab, scratch, "c") as run:
        server.kill()
        server.wait()
        gone = time.monotonic_ns()
        wait_until(lambda: run.figures("c", "fault", gone, time.monotonic_ns()).failures >= 10, "ten failures")
        seen = run.figures("c", "fault", gone, time.monotonic_ns())
        assert dict(seen.failed_by).keys() <= {
            "Connection refused",
            "Connection reset by peer",
            "connection closed before the answer",
        }
        assert "Connection refused" in dict(seen.failed_by)
        site(lab)
        back = time.monotonic_ns()
        wait_until(lambda: asked(run, "c", back, 20), "answers again")
        assert run.alive()


def test_silence_is_told_while_it_lasts(lab: Wire, scratch: Path) -> None:
    site(lab)
    forwarding = lab.sysctl("r", "ipv4/ip_forward")
    with load_run(lab, scratch, "c") as run:
        _, cut = forwarding.write("0")
        wait_until(lambda: run.figures("c", "fault", cut, time.monotonic_ns()).failures > 60, "failures by silence")
        reasons = dict(run.figures("c", "fault", cut, time.monotonic_ns()).failed_by)
        assert reasons.keys() <= {"no answer yet", "no answer in time", "Connection timed out", "No route to host"}
        assert reasons["no answer yet"] > 40
        _, healed = forwarding.write("1")
        wait_until(lambda: asked(run, "c", healed, 20), "answers again")


def test_a_wrong_name_is_an_http_failure_and_a_redirect_is_not_followed(lab: Wire, scratch: Path) -> None:
    site(lab)
    other = Target("other", SERVER, 80, "other.test", "/")
    moved = Target("moved", SERVER, 80, "web.test", "/moved")
    run = LoadRun(scratch, {"c": lab.netns("c")}, (moved, other), users=2, rate_per_s=40)
    with pytest.raises(LoadError, match=r"^load: after 3 s: other \(10.9.2.2\) did not answer c \(HTTP 421\)$"):
        run.start(3)
    assert {r.status for r in run.requests("c", 0, time.monotonic_ns())} == {302, 421}


def test_start_says_which_target_was_missing_and_leaves_nothing(lab: Wire, scratch: Path) -> None:
    site(lab)
    run = LoadRun(scratch, {"us": lab.netns("c")}, (WEB, WEB6), users=2, rate_per_s=40)
    with pytest.raises(LoadError, match=r"web6 \(fd09:2::2\) did not answer us \(Connection refused"):
        run.start(3)
    pids = run.pids
    assert set(pids) == {"us", "master"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())


def test_a_worker_that_dies_is_named_and_the_rest_goes_on_as_before(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "us", "eu", "ap") as run:
        os.kill(run.pids["eu"], signal.SIGKILL)
        wait_until(lambda: not run.alive(), "the death to be seen")
        dead = time.monotonic_ns()
        assert run.missing() == "the Locust worker of eu ended"
        wait_until(lambda: asked(run, "us", dead, 80) and asked(run, "ap", dead, 80), "two seconds of answers")
        took = (time.monotonic_ns() - dead) / 1e9
        assert len(run.requests("us", dead, time.monotonic_ns())) <= 40 * (took + 1)  # nobody took over its load
        assert {r.user for r in run.requests("us", 0, time.monotonic_ns())} == {0, 1}
        assert run.missing() == "the Locust worker of eu ended"
        assert run.figures("eu", "fault", dead, time.monotonic_ns()).requests == 0  # its silence blames no server


def test_a_worker_that_stands_still_is_named_and_its_own_lateness_is_told(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "us", "eu") as run:
        t0 = time.monotonic_ns()
        os.kill(run.pids["eu"], signal.SIGSTOP)
        wait_until(lambda: "eu gave no sign of life for 1." in run.missing(), "the stop to be seen")
        os.kill(run.pids["eu"], signal.SIGCONT)
        wait_until(run.alive, "signs of life")
        woken = time.monotonic_ns()
        wait_until(lambda: asked(run, "eu", woken, 20), "answers again")
        assert run.lateness_ns("eu", t0, woken) > 700 * MS
        assert run.lateness_ns("us", t0, woken) < run.lateness_ns("eu", t0, woken)
        assert run.figures("eu", "control", t0, woken).failures == 0


def test_when_the_master_dies_its_workers_do_and_it_is_said(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "us", "eu") as run:
        workers = [os.pidfd_open(run.pids[v]) for v in ("us", "eu")]
        os.kill(run.pids["us"], signal.SIGSTOP)  # not even this keeps one
        os.kill(run.pids["master"], signal.SIGKILL)
        ended = [bool(select.select([fd], [], [], 5)[0]) for fd in workers]
        for fd in workers:
            os.close(fd)
        assert ended == [True, True]
        wait_until(lambda: run.missing() == "the Locust master ended", "the death to be seen")


def test_a_harness_that_is_killed_leaves_nothing(lab: Wire, scratch: Path) -> None:
    site(lab)
    program = (
        "import sys, pathlib, signal\n"
        "from probes.load import LoadRun, Target\n"
        f"run = LoadRun(pathlib.Path({str(scratch)!r}), {{'c': pathlib.Path({str(lab.netns('c'))!r})}},"
        f" (Target('web', {SERVER!r}, 80, 'web.test', '/'),), users=1, rate_per_s=20)\n"
        "run.start()\nprint(*run.pids.values(), flush=True)\nsignal.pause()\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert harness.stdout is not None
    with harness.stdout as said:
        pids = [int(word) for word in said.readline().split()]
    held = [os.pidfd_open(pid) for pid in pids]
    harness.kill()
    harness.wait()
    ended = [bool(select.select([fd], [], [], 5)[0]) for fd in held]
    for fd in held:
        os.close(fd)
    assert ended == [True, True]


def test_a_users_own_locustfile_runs_in_every_vantage_by_the_services_name(lab: Wire, scratch: Path) -> None:
    site(lab)
    mine = scratch / "mine.py"
    mine.write_text(GOOD + "print('a word that is not ours', flush=True)\n")
    vantages = {"us": lab.netns("c"), "eu": lab.netns("c")}
    with LoadRun(scratch / "run", vantages, (WEB,), users=2, rate_per_s=40, locustfile=mine) as run:
        t0 = time.monotonic_ns()
        wait_until(lambda: all(asked(run, v, t0, 40) for v in vantages), "forty answers each")
        seen = run.figures("us", "control", t0, time.monotonic_ns())
        assert (seen.failures, seen.paced, seen.users) == (0, False, 2)  # the site answers 421 to any other name
        assert seen.raw == seen.corrected
        assert run.lateness_ns("us", 0, time.monotonic_ns()) == 0


def test_a_locustfile_whose_tasks_fail_says_so(lab: Wire, scratch: Path) -> None:
    site(lab)
    mine = scratch / "mine.py"
    mine.write_text(
        "from locust import HttpUser, task\nclass A(HttpUser):\n  @task\n  def t(self):\n    {}['nothing']\n"
    )
    run = LoadRun(scratch / "run", {"c": lab.netns("c")}, (WEB,), users=1, rate_per_s=1, locustfile=mine)
    with pytest.raises(LoadError, match=re.escape("no request from c was answered (KeyError: 'nothing')")):
        run.start(3)


def test_a_name_fails_at_once_because_a_lab_has_no_resolver(lab: Wire, scratch: Path) -> None:
    site(lab)
    mine = scratch / "mine.py"
    mine.write_text(GOOD.replace('"/"', '"http://service.example/"'))
    run = LoadRun(scratch / "run", {"c": lab.netns("c")}, (WEB,), users=2, rate_per_s=1, locustfile=mine)
    with pytest.raises(LoadError, match=r"no request from c was answered \(.*ame or service not known"):
        run.start(3)
    spent = [r.end_ns - r.start_ns for r in run.requests("c", 0, time.monotonic_ns())]
    assert len(spent) > 10


@pytest.mark.parametrize(("users", "rate"), [(0, 20.0), (2, 0.0)])
def test_too_little_to_go_round_is_an_error(tmp_path: Path, users: int, rate: float) -> None:
    with pytest.raises(ValueError, match="too few"):
        LoadRun(tmp_path, {"c": Path("/run/netns/c")}, (WEB,), users=users, rate_per_s=rate)
