"""New requests to servers that answer, refuse, cut short, keep silent: each told apart, in the clear and by TLS, in both families."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probes.child import ProbeError
from probes.connections import Security
from probes.connections.target import Version
from probes.requests import Outcome, Requester, failing, scheduled
from probes.requests.stretches import failed_by
from probes.requests.trace import IN_TIME_NS, KEPT_OPEN_NS
from tests.probes.certificates import Certificates
from tests.probes.conftest import MS, run_for, wait_until, wait_until_ns
from tests.probes.requests.conftest import INTERVAL, now, outcomes, play, series, warm
from tests.probes.wire import SERVER, SERVER6, Wire, ip

pytestmark = pytest.mark.lab

NOWHERE = "10.9.3.3"
"""Routed to the server's node, which has no such address and forwards nothing: whoever asks it meets silence."""
FORBIDDEN, UNROUTED = "10.9.98.98", "10.9.99.99"
"""By the client's own routes, and by the router's."""

WHOLE = ("/", "/chunked", "/to-the-end", "/shout", "/empty", "/large")
FAILED = {
    "/503": Outcome.WRONG_STATUS,
    "/nameless": Outcome.NO_IDENTITY,
    "/half": Outcome.INCOMPLETE,
    "/cut-chunk": Outcome.INCOMPLETE,
    "/nothing": Outcome.INCOMPLETE,
    "/reset": Outcome.RESET,
    "/garbage": Outcome.MALFORMED,
    "/stuck": Outcome.INCOMPLETE,
    "/2.1": Outcome.LATE,
    "/30": Outcome.SILENT,
}
BY_HTTP2 = {
    "be-1": Outcome.OK,
    "503": Outcome.WRONG_STATUS,
    "be-1+stream": Outcome.INCOMPLETE,
    "be-1+late": Outcome.INCOMPLETE,
    "be-1+goaway": Outcome.OK,
}
"""By what the site says and does."""


@pytest.mark.parametrize("dst", [SERVER, SERVER6])
@pytest.mark.parametrize("tls", [None, Security()])
def test_every_kind_of_whole_answer_is_good(
    lab: Wire, scratch: Path, requester_binary: Path, certs: Certificates, dst: str, tls: Security | None
) -> None:
    lab.script("origin.py", dst, "80", *([str(certs.server)] if tls else []))
    asked = [series(path, id=i, dst=dst, tls=tls, interval_ns=60 * MS) for i, path in enumerate(WHOLE)]
    window, requester = play(lab, requester_binary, scratch, *asked, warmed=True)
    for trace in window.traces:
        # until the connection's end, by TLS, needs TLS's own word that it ends: asyncio's server gives it
        assert outcomes(trace) == {Outcome.OK}, f"{trace.series.path} {requester.said()}"
        assert np.all(trace.status == 200)
        assert np.all(trace.backend == 0)
        stages = [trace.due, trace.sent, trace.connected, *([trace.handshaken] if tls else []), trace.first_byte]
        assert all(np.all(a <= b) for a, b in zip(stages, [*stages[1:], trace.done], strict=True))
        assert np.all(trace.latency_ns() < 1_000 * MS)
        assert failing(trace).request_fail_ns == 0
    assert window.backends == ("be-1",)
    counters = requester.counters()
    assert (counters.failed, counters.not_sent, counters.unstamped, counters.unnamed) == (0, 0, 0, 0)


@pytest.mark.parametrize("tls", [None, Security()])
def test_every_kind_of_failure_is_told_apart(
    lab: Wire, scratch: Path, requester_binary: Path, certs: Certificates, tls: Security | None
) -> None:
    lab.script("origin.py", SERVER, "80", *([str(certs.server)] if tls else []))
    asked = [series(path, id=i, tls=tls, interval_ns=60 * MS, ports=200) for i, path in enumerate(FAILED)]
    window, _ = play(lab, requester_binary, scratch, *asked)
    found = {trace.series.path: outcomes(trace) for trace in window.traces}
    assert found == {path: {how} for path, how in FAILED.items()}
    for trace in window.traces:
        fail = failing(trace)
        assert (fail.failed, fail.ended) == (fail.requests, False)
        assert failed_by(trace) == {FAILED[trace.series.path]: fail.failed}
    late = next(t for t in window.traces if t.series.path == "/2.1")
    assert np.all((late.latency_ns() > IN_TIME_NS) & (late.latency_ns() <= IN_TIME_NS + KEPT_OPEN_NS))
    assert failing(late, straddle_ns=KEPT_OPEN_NS).range_ns[0] == 0


def test_who_is_not_there_refuses_is_silent_or_unreachable(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    ip(f"route add {NOWHERE} via {SERVER}", node=f"{lab.name}-r")
    ip(f"route add unreachable {FORBIDDEN}", node=f"{lab.name}-c")
    asked = (series(dst=dst, id=i) for i, dst in enumerate((SERVER, NOWHERE, FORBIDDEN, UNROUTED)))
    window, requester = play(lab, requester_binary, scratch, *asked)
    *clear, by_router = [outcomes(t) for t in window.traces]
    assert clear == [{Outcome.REFUSED}, {Outcome.SILENT}, {Outcome.UNREACHABLE}]
    assert (
        Outcome.UNREACHABLE in by_router <= {Outcome.UNREACHABLE, Outcome.SILENT}
    )  # a router says so a few times a second
    assert all(np.all(t.connected == 0) for t in window.traces)
    assert {name for name, _ in requester.counters().errors} == {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"}


def test_an_answer_without_a_name_is_a_failure_and_keeps_nobody_from_being_steady(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    """Where only some backends give theirs, nothing would ever be steady; of the control window it is told."""
    lab.script("origin.py", SERVER, "80")
    with Requester(requester_binary, lab.netns("c"), scheduled([series("/nameless")]), scratch) as requester:
        warm(requester)
        t0 = now()
        wait_until(lambda: requester.quiet_since(t0, 100 * MS), "answers since")
        assert int(requester.last_failed_ns(t0, 100 * MS)[0]) >= t0


def test_without_an_identity_to_look_for_a_nameless_answer_is_good(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    lab.script("origin.py", SERVER, "80")
    window, _ = play(lab, requester_binary, scratch, series("/nameless", identity=None))
    assert outcomes(window.traces[0]) == {Outcome.OK}
    assert window.backends == ()


@pytest.mark.parametrize("tls", [None, Security()])
def test_http2_in_the_clear_and_by_tls(
    lab: Wire, scratch: Path, requester_binary: Path, certs: Certificates, tls: Security | None
) -> None:
    for i, says in enumerate(BY_HTTP2):
        lab.script("site.py", SERVER, str(440 + i), says, *([f"tls={certs.server}"] if tls else []))
    asked = [series(id=i, dport=440 + i, http="2", tls=tls, interval_ns=60 * MS) for i in range(len(BY_HTTP2))]
    window, requester = play(lab, requester_binary, scratch, *asked)
    found = {says: outcomes(t) for says, t in zip(BY_HTTP2, window.traces, strict=True)}
    assert found == {says: {how} for says, how in BY_HTTP2.items()}, requester.said()
    assert window.backends == ("be-1",)


def test_who_speaks_no_http2_is_malformed(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("site.py", SERVER, "80", "be-1", "greet")
    window, requester = play(lab, requester_binary, scratch, series(http="2"))
    assert outcomes(window.traces[0]) == {Outcome.MALFORMED}
    assert requester.said()[0].startswith("HTTP/2: ")


def test_a_certificate_that_fits_is_taken_and_one_that_does_not_is_told(
    lab: Wire, scratch: Path, requester_binary: Path, certs: Certificates
) -> None:
    lab.script("site.py", SERVER, "443", "be-1", f"tls={certs.server}", "old")
    known, stranger = Security(str(certs.ca)), Security(str(certs.stranger))
    told: tuple[tuple[Security, str, Version], ...] = (
        (known, "web.test:443", "1.1"),
        (stranger, "web.test", "1.1"),
        (known, "other.test", "1.1"),
        (Security(), "web.test", "2"),
        (Security(), SERVER, "1.1"),
    )
    asked = [
        series(id=i, dport=443, tls=tls, host=host, http=http, interval_ns=60 * MS)  # a slow server shakes hands slowly
        for i, (tls, host, http) in enumerate(told)
    ]
    window, requester = play(lab, requester_binary, scratch, *asked)
    good, bad = {Outcome.OK}, {Outcome.TLS_ERROR}
    assert [outcomes(t) for t in window.traces] == [good, bad, bad, bad, good]
    said = requester.said()
    assert said[1].startswith("the certificate does not fit: unable to get")
    assert said[2] == "the certificate does not fit: hostname mismatch"
    assert "HTTP/2 was not agreed on" in said[3] or said[3].startswith("no TLS: ")
    assert np.all(window.traces[0].handshaken > window.traces[0].connected)
    assert np.all(window.traces[1].handshaken == 0)


def test_who_accepts_and_says_nothing_is_silent_by_tls_too_and_no_tls_is_an_error(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    lab.script("site.py", SERVER, "443", "be-1", "mute")
    lab.script("site.py", SERVER, "444", "be-1", "greet")
    window, _ = play(
        lab,
        requester_binary,
        scratch,
        series(dport=443, tls=Security()),
        series(dport=444, tls=Security(), id=1),
        series(dport=443, id=2),
    )
    assert [outcomes(t) for t in window.traces] == [{Outcome.SILENT}, {Outcome.TLS_ERROR}, {Outcome.SILENT}]
    assert np.all(window.traces[0].connected > 0)


def test_each_request_has_the_next_port_to_itself_and_leaves_nothing_behind(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    lab.script("origin.py", SERVER, "80")
    window, _ = play(lab, requester_binary, scratch, series())
    ports = window.traces[0].sport.astype(int)
    first, many = window.traces[0].series.base_port, window.traces[0].series.ports
    assert np.all(np.diff(ports - first) % many == 1)
    assert np.all((ports >= first) & (ports < first + many))
    for node in "cs":
        command = ["nsenter", f"--net={lab.netns(node)}", "ss", "-Htan", "state", "connected"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_one_that_starts_anew_goes_on_with_the_ports_that_have_rested(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    lab.script("origin.py", SERVER, "80")
    one = series(ports=1000)
    before, _ = play(lab, requester_binary, scratch, one)
    after, _ = play(lab, requester_binary, scratch, one)
    assert set(before.traces[0].sport.tolist()).isdisjoint(after.traces[0].sport.tolist())


def test_a_short_outage_that_tcp_bridges_is_no_quiet_while_it_lasts_and_fails_no_request(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    lab.script("origin.py", SERVER, "80")
    forward = lab.sysctl("r", "ipv4/ip_forward")
    with Requester(requester_binary, lab.netns("c"), scheduled([series()]), scratch) as requester:
        warm(requester)
        t0 = now()
        cut = forward.write("0")
        wait_until_ns(cut[1] + 600 * MS)
        assert int(requester.last_failed_ns(t0, 100 * MS)[0]) >= cut[0]
        assert not requester.quiet_since(t0, 100 * MS)
        heal = forward.write("1")
        wait_until_ns(heal[1] + IN_TIME_NS + KEPT_OPEN_NS + 200 * MS)
        last = int(requester.last_failed_ns(t0)[0])
        window = requester.window(t0, now() - IN_TIME_NS - KEPT_OPEN_NS)
    # a lost SYN is sent again after a second: such a request is slow, and good
    trace, found = window.traces[0], failing(window.traces[0])
    assert (found.failed, last) == (0, -1), failed_by(trace)
    hit = (trace.due >= cut[1]) & (trace.due < heal[0] - 50 * MS)
    assert np.all((trace.latency_ns()[hit] > 900 * MS) & (trace.latency_ns()[hit] < IN_TIME_NS))


def test_a_service_that_goes_away_and_comes_back_is_measured_within_an_interval(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    server = lab.script("origin.py", SERVER, "80")
    with Requester(requester_binary, lab.netns("c"), scheduled([series()]), scratch) as requester:
        warm(requester)
        t0, gone = now(), now()
        server.kill()
        server.wait()
        wait_until_ns(gone + 500 * MS)
        lab.script("origin.py", SERVER, "80")
        back = now()
        warm(requester)
        assert gone - INTERVAL < int(requester.last_failed_ns(t0, 200 * MS)[0]) < back
        window = requester.window(t0, now() - 200 * MS)
    found = failing(window.traces[0])
    assert found.ended
    assert 300 * MS < found.request_fail_ns <= back - gone + 2 * INTERVAL
    assert set(failed_by(window.traces[0])) <= {Outcome.REFUSED, Outcome.RESET, Outcome.INCOMPLETE}


def test_a_stall_of_its_own_is_told_and_makes_no_answer_late(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("origin.py", SERVER, "80")
    with Requester(requester_binary, lab.netns("c"), scheduled([series("/0.1")]), scratch) as requester:
        t0, t1 = run_for(300)
        process = requester.pid
        wait_until_ns(t1 + 150 * MS)
        subprocess.run(["kill", "-STOP", str(process)], check=True)
        stopped = now()
        wait_until(lambda: requester.heartbeat_age_ns() > 400 * MS, "an old heartbeat")
        frozen = requester.window(t0, now()).stall_ns
        subprocess.run(["kill", "-CONT", str(process)], check=True)
        resumed = now()
        wait_until_ns(resumed + 500 * MS)
        calm, stalled = requester.window(t0, t1), requester.window(stopped - 100 * MS, resumed)
    assert frozen > 200 * MS
    assert calm.stall_ns < 100 * MS
    assert resumed - stopped - 50 * MS < stalled.stall_ns < resumed - stopped + 150 * MS
    # those under way when it stopped were answered meanwhile, and read afterwards
    under_way = stalled.traces[0].due < stopped
    assert np.all(stalled.traces[0].latency_ns()[under_way] < 250 * MS)
    assert np.all(stalled.traces[0].outcome == Outcome.OK)


def test_what_is_more_than_a_second_late_is_not_sent(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("origin.py", SERVER, "80")
    with Requester(requester_binary, lab.netns("c"), scheduled([series()]), scratch) as requester:
        t0, t1 = run_for(200)
        subprocess.run(["kill", "-STOP", str(requester.pid)], check=True)
        wait_until_ns(t1 + 1500 * MS)
        subprocess.run(["kill", "-CONT", str(requester.pid)], check=True)
        t2 = now()
        wait_until(lambda: requester.counters().sent > 0 and requester.quiet_since(t2, 100 * MS), "good requests again")
        window, counters = requester.window(t0, t2), requester.counters()
    (trace,) = window.traces
    assert 20 <= trace.count(Outcome.NOT_SENT) == counters.not_sent <= 35
    assert np.all(trace.sent[trace.outcome == Outcome.NOT_SENT] == 0)
    assert trace.lateness().max() <= 1_000 * MS
    assert failing(trace).request_fail_ns == 0
    assert counters.harness_errors == 0


def test_a_port_that_somebody_else_holds_is_the_harness_fault(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("origin.py", SERVER, "80")
    hold = (
        "import socket, sys\n"
        "held = [socket.create_server(('', 28000 + i)) for i in range(400)]\n"
        "print('listening', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        ["nsenter", f"--net={lab.netns('c')}", "python3", "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"listening\n"
        window, requester = play(lab, requester_binary, scratch, series())
    finally:
        holder.communicate()
    assert outcomes(window.traces[0]) == {Outcome.NOT_SENT}
    assert requester.counters().harness_errors > 0
    assert requester.counters().errors[0][0] == "EADDRINUSE"


def test_it_ends_with_the_harness_however_that_went(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("origin.py", SERVER, "80")
    script = (
        "import sys, signal; from pathlib import Path\n"
        "from probes.requests import Requester; from tests.probes.requests.conftest import series\n"
        f"r = Requester(Path({str(requester_binary)!r}), Path({str(lab.netns('c'))!r}), [series('/30')], Path({str(scratch)!r}))\n"
        "r.start(); print(r.pid, flush=True); signal.pause()\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert harness.stdout is not None
    pid = int(harness.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    harness.send_signal(signal.SIGKILL)
    harness.communicate()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the requester's end")
    command = ["nsenter", f"--net={lab.netns('c')}", "ss", "-Htan"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_what_cannot_begin_says_why(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    missing = Security(str(scratch / "none.pem"))
    with pytest.raises(ProbeError, match=r"requester of c: series 0: .*none\.pem: no certificates"):
        Requester(requester_binary, lab.netns("c"), [series(tls=missing)], scratch).start()
    with pytest.raises(ValueError, match="at least one series"):
        Requester(requester_binary, lab.netns("c"), [], scratch)
    with pytest.raises(ValueError, match="overwritten within 5 s"):
        Requester(requester_binary, lab.netns("c"), [series()], scratch, capacity=100)
    with pytest.raises(ValueError, match="its path is 3000 bytes long, and there is room for 2047"):
        Requester(requester_binary, lab.netns("c"), [replace(series(), path="/" + "a" * 2999)], scratch).start()


def test_240_requests_a_second_half_of_them_by_tls_are_all_made_and_answered(
    lab: Wire, scratch: Path, requester_binary: Path, certs: Certificates
) -> None:
    for dst in (SERVER, SERVER6):
        lab.script("origin.py", dst, "80")
        lab.script("origin.py", dst, "443", str(certs.server))
    # 60 a second each; what they cost is told by `nospof bench demo`
    verified, interval = Security(str(certs.ca)), 1_000 * MS // 60
    asked = [
        series(id=i, dst=dst, dport=443 if tls else 80, tls=tls, interval_ns=interval)
        for i, (dst, tls) in enumerate((dst, tls) for dst in (SERVER, SERVER6) for tls in (None, verified))
    ]
    with Requester(requester_binary, lab.netns("c"), scheduled(asked), scratch) as requester:
        wait_until(lambda: requester.counters().good > 100, "good requests")
        t0 = now()
        wait_until_ns(t0 + 5_000 * MS)
        sent = requester.window(t0, now())
    assert sent.count(Outcome.OK, Outcome.UNDER_WAY) > 1150
