"""The prober against a wire whose faults are known: it must say what happened, and own up to what it did itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from probes import layout
from probes.child import ProbeError
from probes.episodes import flow_loss
from probes.flows import ANSWERED, CORRUPT, LATE, LOST, NOT_SENT
from probes.impairments import Impairments, impairments
from probes.packets import ProbeFlow, plan_flows
from probes.prober import Prober
from tests.probes.conftest import ROOT, failed_checks, run_for, settle, wait_until, wait_until_ns, warm
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire, ip

pytestmark = pytest.mark.lab

MS = 1_000_000
INTERVAL = 10 * MS


def flows(count: int = 8, interval: int = INTERVAL) -> tuple[ProbeFlow, ...]:
    return plan_flows("c", CLIENT, "echo", SERVER, 7, count, interval)


def test_on_a_sound_wire_every_probe_is_answered_and_stamped(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(), scratch) as prober:
        warm(prober)
        t0, t1 = run_for(1000)
        settle(prober, t1)
        window = prober.window(t0, t1)
        quiet = prober.quiet_since(t0)
    assert (
        window.count(ANSWERED)
        == sum(len(t.state) for t in window.flows)
        == pytest.approx(8 * (t1 - t0) / INTERVAL, abs=8)
    )
    assert window.backends == ("be-1",)
    assert quiet
    assert window.missing_stamps() == 0
    for trace in window.flows:
        assert np.all(np.diff(trace.due) == INTERVAL)
        assert np.all(np.diff(trace.seq) == 1)
        assert np.all((trace.due <= trace.tx) & (trace.tx < trace.rx))
        assert np.all(np.abs(trace.tx - trace.sent) < 50 * MS)
        assert np.all(trace.backend == 0)
        assert trace.ttl is not None
        assert set(trace.ttl) == {63}, "one router stands between the ends"


def test_ipv6_needs_nothing_else(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER6, "7", "be-6")
    planned = plan_flows("c", CLIENT6, "echo", SERVER6, 7, 2, INTERVAL)
    with Prober(prober_binary, lab.netns("c"), planned, scratch) as prober:
        warm(prober)
        t0, t1 = run_for(300)
        settle(prober, t1)
        window = prober.window(t0, t1)
    assert window.count(ANSWERED) == sum(len(t.state) for t in window.flows) > 0
    assert window.backends == ("be-6",)
    assert window.missing_stamps() == 0
    assert all(set(trace.ttl if trace.ttl is not None else ()) == {63} for trace in window.flows)


def test_sockets_are_bound_to_their_source_and_never_connected(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    with Prober(prober_binary, lab.netns("c"), flows(3), scratch) as prober:
        table = Path(f"/proc/{prober.pid}/net/udp").read_text().splitlines()[1:]
    ends = {tuple(line.split()[1:3]) for line in table}
    source = f"{int.from_bytes(bytes(map(int, CLIENT.split('.'))), sys.byteorder):08X}"
    assert ends == {(f"{source}:{port:04X}", "00000000:0000") for port in (20000, 20001, 20002)}


@pytest.mark.parametrize("length_ms", [37, 412])
def test_a_black_hole_of_known_length_is_measured_within_the_interval(
    lab: Wire, scratch: Path, prober_binary: Path, length_ms: int
) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    forwarding = lab.sysctl("r", "ipv4/ip_forward")
    with Prober(prober_binary, lab.netns("c"), flows(16), scratch) as prober:
        warm(prober)
        for _attempt in range(5):
            t0, _ = run_for(200)
            cut = forwarding.write("0")
            wait_until_ns(cut[1] + length_ms * MS)
            heal = forwarding.write("1")
            _, t1 = run_for(200)
            settle(prober, t1)
            window = prober.window(t0, t1)
            last = prober.last_impaired_ns(t0)
            # a probe may leave late, or be under way when the cut falls: what the instrument says of itself
            slack = int(window.lateness().max()) + max(int(t.answer_ns().max()) for t in window.flows) + MS
            if slack < INTERVAL / 2:
                break
    assert slack < INTERVAL, "five times over, the machine was too busy for this test to say anything"
    shortest, longest = heal[0] - cut[1], heal[1] - cut[0]
    for trace in window.flows:
        found = flow_loss(trace.due, trace.state, INTERVAL)
        assert len(found.episodes) == 1
        assert not found.censored
        assert (found.lost - 1) * INTERVAL < longest + slack
        assert (found.lost + 1) * INTERVAL > shortest - slack
        assert cut[0] - slack <= found.episodes[0].start_ns <= cut[1] + INTERVAL
    mean = sum(flow_loss(t.due, t.state, INTERVAL).black_hole_ns for t in window.flows) / len(window.flows)
    assert shortest - slack - INTERVAL / 16 <= mean <= longest + slack + INTERVAL / 16
    assert np.all((last > heal[0] - INTERVAL - slack) & (last <= heal[1]))
    assert window.count(NOT_SENT) == 0


def test_an_outage_that_never_ends_is_censored(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(2), scratch) as prober:
        warm(prober)
        t0, _ = run_for(100)
        lab.sysctl("r", "ipv4/ip_forward").write("0")
        _, t1 = run_for(200)
        settle(prober, t1)
        assert not prober.quiet_since(t0)
        window = prober.window(t0, t1)
    assert all(flow_loss(t.due, t.state, INTERVAL).censored for t in window.flows)


def test_a_send_that_the_network_refuses_is_its_loss_not_ours(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    client = lab.netns("c").name
    with Prober(prober_binary, lab.netns("c"), flows(4), scratch) as prober:
        warm(prober)
        t0, _ = run_for(200)
        ip("route delete default via 10.9.1.1", node=client)
        run_for(200)
        ip("route add default via 10.9.1.1", node=client)
        _, t1 = run_for(300)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
        failed = failed_checks(prober, t0, t1)
    assert counters.refused == window.count(LOST) > 0
    assert dict(counters.send_errors) == {"ENETUNREACH": counters.refused}
    assert counters.harness_errors == window.count(NOT_SENT) == 0
    assert "harness-loss" not in failed
    # kernel stamps are right again afterwards: none is missing, none belongs to another probe
    assert window.missing_stamps() == 0
    for trace in window.flows:
        stamped = trace.tx > 0
        assert np.count_nonzero(stamped[-10:]) == 10
        assert np.all(np.abs(trace.tx - trace.sent)[stamped] < 50 * MS)


def test_a_stopped_prober_is_reported(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(4), scratch) as prober:
        warm(prober)
        t0, t1 = run_for(200)
        settle(prober, t1)  # a probe that is due this moment may still be about to leave
        assert failed_checks(prober, t0, t1) <= {"lateness", "stall"}
        os.kill(prober.pid, signal.SIGSTOP)
        run_for(1600)
        assert not prober.quiet_since(t0)
        during = failed_checks(prober, t0, time.monotonic_ns())
        os.kill(prober.pid, signal.SIGCONT)
        wait_until(lambda: prober.heartbeat_age_ns() < 200 * MS, "the prober's heartbeat")
        _, t1 = run_for(200)
        settle(prober, t1)
        after = failed_checks(prober, t0, t1)
        given_up = prober.counters().not_sent
    assert {"prober", "harness-loss"} <= during
    assert {"harness-loss", "lateness"} <= after
    assert "prober" not in after
    # behind by 1.6 s, it gives up what is more than 1 s late and sends the rest at once
    assert given_up == pytest.approx(4 * 60, abs=4 * 25)


def test_a_prober_that_did_not_run_for_a_moment_is_not_believed_however_many_probes_it_sent_in_time(
    lab: Wire, scratch: Path, prober_binary: Path
) -> None:
    """What was lost in that moment went out after it, and was answered."""
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(4), scratch) as prober:
        warm(prober)
        t0 = time.monotonic_ns()
        os.kill(prober.pid, signal.SIGSTOP)
        run_for(150)
        os.kill(prober.pid, signal.SIGCONT)
        _, t1 = run_for(2500)
        settle(prober, t1)
        failed, window = failed_checks(prober, t0, t1), prober.window(t0, t1)
        later = failed_checks(prober, t0 + 500 * MS, t1)
    assert "stall" in failed
    assert window.count(ANSWERED) == sum(len(t.state) for t in window.flows)
    assert not later - {"lateness"}, "of the time after it, it is believed"


@pytest.mark.parametrize("allowed", [True, False])
def test_it_comes_before_every_ordinary_process_where_the_host_lets_it(
    lab: Wire, scratch: Path, prober_binary: Path, allowed: bool
) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    refused = scratch / "prober-without-sys-nice"
    refused.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-sys_nice {prober_binary} "$@"\n')
    refused.chmod(0o755)
    with Prober(prober_binary if allowed else refused, lab.netns("c"), flows(2), scratch / "run") as prober:
        warm(prober)  # it measures either way
        policy = os.sched_getscheduler(prober.pid) & ~os.SCHED_RESET_ON_FORK
    assert policy == (os.SCHED_RR if allowed else os.SCHED_OTHER)


def test_records_outlive_a_killed_prober(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(2), scratch) as prober:
        warm(prober)
        t0, t1 = run_for(200)
        # what is due just before the end of the window may leave a little after it
        wait_until(lambda: prober.window(t0, t1).count(NOT_SENT, LOST) == 0, "answers to all of the window's probes")
        alive = prober.window(t0, t1)
        os.kill(prober.pid, signal.SIGKILL)
        wait_until(lambda: not prober.alive(), "the prober's end")
        t2, t3 = run_for(100)
        assert prober.window(t0, t1).count(ANSWERED) >= alive.count(ANSWERED)
        assert prober.window(t0, t1).count(NOT_SENT) == 0
        dead = prober.window(t2, t3)
        assert dead.count(NOT_SENT) == sum(len(t.state) for t in dead.flows) > 0
        assert {"prober", "harness-loss", "lateness"} <= failed_checks(prober, t2, t3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_a_prober_did_not_live_to_hear_of_is_no_loss(
    lab: Wire, scratch: Path, prober_binary: Path, number: int
) -> None:
    """Nobody answers: what was sent 2 s before the prober's end is lost, and of what was sent after that nobody knows."""
    with Prober(prober_binary, lab.netns("c"), flows(2), scratch) as prober:
        t0, _ = run_for(2500)
        os.kill(prober.pid, number)
        end = time.monotonic_ns()
        _, t1 = run_for(1200)
        window = prober.window(t0, t1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(prober.pid, signal.SIGCONT)
    for trace in window.flows:
        lost = trace.due[(trace.state != NOT_SENT) & (trace.state != ANSWERED)]
        assert lost.size, "of the first half second it is known"
        assert lost.max() == pytest.approx(end - 2_000 * MS, abs=200 * MS)


def test_a_killed_harness_leaves_no_prober(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path\n"
        "from probes.prober import Prober; from probes.packets import plan_flows\n"
        f"p = Prober(Path({str(prober_binary)!r}), Path({str(lab.netns('c'))!r}), "
        f"plan_flows('c', {CLIENT!r}, 'echo', {SERVER!r}, 7, 1, 10**7), Path({str(scratch)!r}))\n"
        "p.start(); print(p.pid, flush=True); signal.pause()\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert harness.stdout is not None
    pid = int(harness.stdout.readline())
    assert Path(f"/proc/{pid}/comm").read_text() == "prober\n"
    harness.kill()
    harness.wait()
    harness.stdout.close()
    wait_until(lambda: not running(pid), f"the end of prober {pid}")


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("fault", "state"),
    [(("every=5", "corrupt"), CORRUPT), (("every=5", "drop"), LOST), (("every=5", "delay=2.3"), LATE)],
)
def test_each_kind_of_impairment_is_told_apart(
    lab: Wire, scratch: Path, prober_binary: Path, fault: tuple[str, str], state: int
) -> None:
    lab.responder("udp", SERVER, "7", "be-1", *fault)
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch) as prober:
        t0, t1 = run_for(500)
        wait_until(lambda: time.monotonic_ns() > t1 + 2500 * MS or state != LATE, "late answers")
        settle(prober, t1)
        window = prober.window(t0, t1)
    (trace,) = window.flows
    assert set(np.unique(trace.state)) == {ANSWERED, state}
    assert np.all(np.diff(np.flatnonzero(trace.state == state)) == 5)


def test_an_answer_with_a_wrong_checksum_is_lost_by_the_network_and_not_by_the_prober(
    lab: Wire, scratch: Path, prober_binary: Path
) -> None:
    """The kernel looks at the sum of a datagram so long only when it is read, and counts it as dropped by the socket then."""
    lab.responder("udp", SERVER, "7", "a-backend-of-a-long-name", "every=5", "badsum")
    with Prober(prober_binary, lab.netns("c"), flows(4), scratch) as prober:
        t0, t1 = run_for(1200)  # drops are counted every 500 ms
        settle(prober, t1)
        window, failed = prober.window(t0, t1), failed_checks(prober, t0, t1)
    assert window.count(LOST) == pytest.approx(4 * 120 / 5, abs=8)
    assert not failed - {"lateness", "stall"}


@pytest.mark.parametrize("length", [40, 63, 64, 200])
def test_a_long_name_of_a_backend_is_told_as_far_as_there_is_room_and_is_no_corruption(
    lab: Wire, scratch: Path, prober_binary: Path, length: int
) -> None:
    name = ("eu-west-1a-l7-backend-007.example.net-" * 6)[:length]
    lab.responder("udp", SERVER, "7", name)
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch) as prober:
        t0, t1 = run_for(100)
        settle(prober, t1)
        window, counters = prober.window(t0, t1), prober.counters()
    assert window.count(ANSWERED) == len(window.flows[0].state)
    assert counters.corrupt == 0
    assert window.backends == ((name,) if length < 64 else ())
    assert (counters.unnamed == counters.received) == (length >= 64)


def test_a_second_answer_is_a_duplicate_and_changes_nothing(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1", "every=1", "twice")
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch) as prober:
        t0, t1 = run_for(300)
        settle(prober, t1)
        assert prober.window(t0, t1).count(ANSWERED) > 20
        counters = prober.counters()
    assert counters.duplicates == pytest.approx(counters.received, abs=2)
    assert counters.corrupt == counters.foreign == 0


def test_which_probes_were_answered_twice_or_overtaken_is_told(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    found = {}
    for fault in ("twice", "delay=0.3"):
        responder = lab.responder("udp", SERVER, "7", "be-1", "every=5", fault)
        with Prober(prober_binary, lab.netns("c"), flows(1), scratch / fault) as prober:
            t0, t1 = run_for(500)
            settle(prober, t1)
            wait_until_ns(t1 + 400 * MS)
            (trace,) = prober.window(t0, t1).flows
        found[fault] = (trace, impairments(trace, t0, t1))
        responder.kill()
        responder.wait()
    twice, told = found["twice"]
    assert twice.duplicate is not None
    assert np.all(np.diff(np.flatnonzero(twice.duplicate)) == 5)
    assert told == Impairments(duplicate=int(np.count_nonzero(twice.duplicate)))
    assert told.duplicate > 5
    held, told = found["delay=0.3"]
    # the last ones of the window may have been overtaken by nothing of it
    assert 0 < told.reordered <= len(held.seq) // 5 + 1
    assert (told.lost, told.late, told.corrupt, told.duplicate) == (0, 0, 0, 0)


def test_what_answers_no_probe_is_foreign(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    lab.responder("udp", SERVER, "7", "be-1")
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch) as prober:
        warm(prober)
        other = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); "
        other += f"s.bind(({SERVER!r}, 8)); s.sendto(b'NSPF' + bytes(80), ({CLIENT!r}, 20000))"
        subprocess.run(["nsenter", f"--net={lab.netns('s')}", sys.executable, "-c", other], check=True)
        wait_until(lambda: prober.counters().foreign == 1, "a foreign datagram")
        assert prober.counters().corrupt == 0


def test_a_step_of_the_wall_clock_in_the_window_is_seen(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch) as prober:
        t0, t1 = run_for(500)
    assert prober.window(t0, t1).clock_step_ns < MS
    header = np.memmap(scratch / "records", layout.HEADER, mode="r+", shape=())
    samples = header["offsets"][: int(header["offset_count"])]
    inside = np.flatnonzero((samples["mono_ns"] > t0) & (samples["mono_ns"] < t1))
    samples["offset_ns"][inside[1] :] += 7 * MS
    assert prober.window(t0, t1).clock_step_ns == pytest.approx(7 * MS, rel=0.05)
    assert "clock" in failed_checks(prober, t0, t1)
    before = int(samples["mono_ns"][inside[0]])
    assert prober.window(t0, before - 1).clock_step_ns < MS


def test_start_says_what_was_missing(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    (early,) = flows(1)
    never = ProbeFlow(77, "c", "echo", CLIENT, 20999, SERVER, 7, 10**12, 10**11)
    prober = Prober(prober_binary, lab.netns("c"), (early, never), scratch)
    with pytest.raises(ProbeError, match=r"not ready after 0\.3 s: flows that have sent nothing: 77"):
        prober.start(deadline_s=0.3)
    assert not prober.alive()


def test_a_source_address_that_is_not_there_is_named(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    planned = plan_flows("c", "10.9.9.9", "echo", SERVER, 7, 1, INTERVAL)
    with pytest.raises(ProbeError, match=r"prober of c: flow 0: cannot bind its source address, port 20000"):
        Prober(prober_binary, lab.netns("c"), planned, scratch).start()


def test_windows_that_cannot_be_told_are_refused(lab: Wire, scratch: Path, prober_binary: Path) -> None:
    with Prober(prober_binary, lab.netns("c"), flows(1), scratch, capacity=16) as prober:
        t0, t1 = run_for(300)
        with pytest.raises(ProbeError, match="the records hold 16"):
            prober.window(t0, t1)
        with pytest.raises(ValueError, match="in the future"):
            prober.window(t1, time.monotonic_ns() + 10**9)
