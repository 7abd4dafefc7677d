"""New requests without HTTP: what is sent, what the answer has to hold, and every way in which it can fail to, in both families."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import numpy as np
import pytest

from probes.requests import Outcome, Requester, RequestSeries, failing, scheduled
from probes.requests.trace import IN_TIME_NS, KEPT_OPEN_NS
from tests.probes.conftest import MS, wait_until_ns
from tests.probes.requests.conftest import INTERVAL, now, outcomes, play, warm
from tests.probes.teller import ANSWER
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire

pytestmark = pytest.mark.lab

GOOD = ("ping", "pieces", "late", "twice", "edge")
FAILED = {
    "no": Outcome.INCOMPLETE,
    "part": Outcome.INCOMPLETE,
    "end": Outcome.INCOMPLETE,
    "reset": Outcome.RESET,
    "mute": Outcome.SILENT,
    "flood": Outcome.MALFORMED,
    "2.1": Outcome.LATE,
    "30": Outcome.SILENT,
}


def words(
    send: str = "",
    *,
    id: int = 0,
    dst: str = SERVER,
    dport: int = 80,
    expect: bytes = ANSWER,
    interval_ns: int = INTERVAL,
) -> RequestSeries:
    src = CLIENT6 if dst == SERVER6 else CLIENT
    return RequestSeries(
        id, "c", "redis", src, dst, dport, dst, identity=None, http=None, interval_ns=interval_ns, ports=400,
        send=f"{send}\n".encode() if send else b"", expect=expect,
    )  # fmt: skip


@pytest.mark.parametrize("dst", [SERVER, SERVER6])
def test_an_answer_is_good_as_soon_as_it_holds_what_is_expected(
    lab: Wire, scratch: Path, requester_binary: Path, dst: str
) -> None:
    lab.script("teller.py", dst, "80")
    lab.script("teller.py", dst, "81", "greet")
    asked = [words(word, id=i, dst=dst, interval_ns=60 * MS) for i, word in enumerate(GOOD)]
    asked.append(words(id=len(GOOD), dst=dst, dport=81, interval_ns=60 * MS))
    window, requester = play(lab, requester_binary, scratch, *asked, warmed=True)
    for trace in window.traces:
        assert outcomes(trace) == {Outcome.OK}, f"{trace.series.send!r} {requester.said()}"
        assert not trace.status.any()
        stages = (trace.due, trace.sent, trace.connected, trace.first_byte, trace.done)
        assert all(np.all(a <= b) for a, b in itertools.pairwise(stages))
        assert failing(trace).request_fail_ns == 0
        if trace.series.dport == 81 or trace.series.send == b"pieces\n":
            assert np.all(trace.done - trace.first_byte >= 30 * MS)
    assert window.backends == ()
    counters = requester.counters()
    assert (counters.failed, counters.not_sent, counters.unstamped, counters.unnamed) == (0, 0, 0, 0)
    assert set(requester.said()) == {""}


def test_every_kind_of_failure_is_told_apart(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("teller.py", SERVER, "80")
    asked = [words(word, id=i, interval_ns=60 * MS) for i, word in enumerate(FAILED)]
    asked.append(words("ping", id=len(FAILED), dport=81, interval_ns=60 * MS))
    window, requester = play(lab, requester_binary, scratch, *asked)
    *found, refused = [outcomes(trace) for trace in window.traces]
    assert dict(zip(FAILED, found, strict=True)) == {word: {how} for word, how in FAILED.items()}
    assert refused == {Outcome.REFUSED}
    assert {said for said in requester.said() if said} == {"what is expected is not in the first 65536 bytes"}
    for trace in window.traces:
        fail = failing(trace)
        assert (fail.failed, fail.ended) == (fail.requests, False)
    late = window.traces[list(FAILED).index("2.1")]
    assert np.all((late.latency_ns() > IN_TIME_NS) & (late.latency_ns() <= IN_TIME_NS + KEPT_OPEN_NS))


def test_who_is_asked_nothing_and_says_nothing_is_silent(lab: Wire, scratch: Path, requester_binary: Path) -> None:
    lab.script("teller.py", SERVER, "80")
    window, _ = play(lab, requester_binary, scratch, words())
    assert outcomes(window.traces[0]) == {Outcome.SILENT}
    assert np.all(window.traces[0].connected > 0)


def test_a_frozen_service_whose_kernel_accepts_fails_until_it_goes_on(
    lab: Wire, scratch: Path, requester_binary: Path
) -> None:
    """What is judged is the application: SYNs to it are answered all the time."""
    server = lab.script("teller.py", SERVER, "80")
    with Requester(requester_binary, lab.netns("c"), scheduled([words("ping")]), scratch) as requester:
        warm(requester)
        t0 = now()
        server.send_signal(signal.SIGSTOP)
        frozen = now()
        wait_until_ns(frozen + 2_500 * MS)
        server.send_signal(signal.SIGCONT)
        resumed = now()
        wait_until_ns(resumed + 2_500 * MS)
        window = requester.window(t0, resumed + 200 * MS)
    (trace,) = window.traces
    found = failing(trace)
    assert found.ended
    assert 400 * MS < found.request_fail_ns <= resumed - frozen
    assert np.all(trace.connected > 0)


@pytest.mark.parametrize("expect", [b"\0", b"abab\0abac\0", b"a" * 4095 + b"b"])
def test_what_is_expected_may_hold_any_bytes_and_begin_again_within_itself(
    lab: Wire, scratch: Path, requester_binary: Path, expect: bytes
) -> None:
    """It is sent back what it says: once with the beginning of what is expected before it, once without its end."""
    lab.script("mirror.py", SERVER, "80")
    asked = [
        RequestSeries(
            i, "c", "raw", CLIENT, SERVER, 80, SERVER, identity=None, http=None, interval_ns=60 * MS, ports=400,
            send=said, expect=expect,
        )
        for i, said in enumerate((expect, (expect[: len(expect) // 2] + expect)[-4096:], expect[:-1] + b"x"))
    ]  # fmt: skip
    window, _ = play(lab, requester_binary, scratch, *asked)
    assert [outcomes(trace) for trace in window.traces] == [{Outcome.OK}, {Outcome.OK}, {Outcome.INCOMPLETE}]
