"""What the tests of new requests share: the requester, certificates, a series from a few words, and waiting for its ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from probes.connections import Security
from probes.connections.target import Version
from probes.requests import Outcome, Requester, RequestSeries, RequestTrace, RequestWindow, scheduled
from probes.requests.trace import IN_TIME_NS, KEPT_OPEN_NS
from tests.probes import certificates
from tests.probes.certificates import Certificates
from tests.probes.conftest import MS, ROOT, run_for, wait_until, wait_until_ns
from tests.probes.wire import CLIENT, CLIENT6, SERVER, SERVER6, Wire
from topologies.image.native import compile_program

LIBRARIES = ("ssl", "crypto", "nghttp2")
INTERVAL = 20 * MS


@pytest.fixture(scope="session")
def requester_binary() -> Path:
    return compile_program(ROOT / "probes/native/requester.c", libraries=LIBRARIES)


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def series(
    path: str = "/",
    *,
    id: int = 0,
    dst: str = SERVER,
    dport: int = 80,
    host: str = "web.test",
    http: Version = "1.1",
    tls: Security | None = None,
    identity: str | None = "x-backend",
    interval_ns: int = INTERVAL,
    ports: int = 400,
) -> RequestSeries:
    src = CLIENT6 if dst == SERVER6 else CLIENT
    return RequestSeries(id, "c", "web", src, dst, dport, host, path, identity, http, tls, interval_ns, ports=ports)


def play(
    lab: Wire, binary: Path, scratch: Path, *wanted: RequestSeries, ms: int = 400, warmed: bool = False
) -> tuple[RequestWindow, Requester]:
    """Makes requests for a while (`warmed`: once all are answered), and waits until all of them have ended."""
    with Requester(binary, lab.netns("c"), scheduled(wanted), scratch) as requester:
        if warmed:
            warm(requester)
        t0, t1 = run_for(ms)
        wait_until_ns(t1 + IN_TIME_NS + KEPT_OPEN_NS + 100 * MS)
        window = requester.window(t0, t1)
    assert window.settled
    return window, requester


def warm(requester: Requester) -> None:
    """Until neighbours are found, which takes IPv6 a second, and every series is being answered."""
    wait_until(lambda: requester.quiet_since(now() - 400 * MS, grace_ns=200 * MS), "good requests of every series")


def outcomes(trace: RequestTrace) -> set[Outcome]:
    """In how many ways its requests ended."""
    assert len(trace.seq) > 5
    return {Outcome(int(o)) for o in trace.outcome}


def now() -> int:
    return time.monotonic_ns()
