"""What counts as an answer: real servers, asked over the loopback of this host or of a namespace of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from probes.requests.plan import MOST_HEARD_BYTES
from scenarios.answers import PATIENT_S, TIMEOUT_S, Reply, reply_of
from scenarios.pings import answers_ping
from scenarios.streams import missing_stream
from topologies.linux import netns
from topologies.services import Service

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to enter a namespace")
HERE = Path("/proc/self/ns/net")
HOME = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nServer: small\r\nX-LB: lb1\r\n"


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a port of its own, each of whose connections is left to `serve`."""

    def one(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            serve(taken)

    def take() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server((HOME, 0)) as listener:
        threading.Thread(target=take, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def http(port: int, identity: str | None = "x-lb") -> Service:
    return Service("web", (HOME,), port, "http", "web.test", "/", identity, ("1.1",), stream="/stream")


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    def serve(taken: socket.socket) -> None:
        while taken.recv(4096):
            taken.sendall(answer)

    return serve


def test_an_answer_that_names_its_backend_is_one() -> None:
    with serving(saying(OK + b"Content-Length: 2\r\n\r\nok")) as port:
        assert reply_of(HERE, http(port), HOME) == Reply()


@pytest.mark.parametrize(("identity", "carried"), [("x-nobody", True), (None, True), ("X-Lb", False)])
def test_an_answer_without_the_header_is_an_answer_and_says_which_it_carries(
    identity: str | None, carried: bool
) -> None:
    with serving(saying(OK + b"Content-Length: 2\r\n\r\nok")) as port:
        found = reply_of(HERE, http(port, identity), HOME)
    assert found == Reply(carried=("server", "x-lb", "content-length") if carried else None)


def test_an_error_or_silence_is_no_answer() -> None:
    with serving(saying(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")) as port:
        assert reply_of(HERE, http(port), HOME) == Reply("answers 503")
    assert "ConnectionRefusedError" in reply_of(HERE, http(port), HOME).missing
    with serving(saying(b"")) as port:
        assert "TimeoutError" in reply_of(HERE, http(port), HOME).missing


@pytest.mark.parametrize(
    ("send", "expect", "answer", "missing"),
    [
        (None, None, b"", ""),
        (b"PING\r\n", b"+PONG", b"+PONG\r\n", ""),
        (b"PING\r\n", b"+PONG", b"-ERR no\r\n", "-ERR no"),
        (b"PING\r\n", b"+PONG", b"", "was expected"),
        (None, b"220 ", b"", "was expected"),
        (b"X", b"+PONG", bytes(MOST_HEARD_BYTES - 5) + b"+PONG", ""),
        (b"X", b"+PONG", bytes(MOST_HEARD_BYTES - 4) + b"+PONG", "not b'+PONG'"),
    ],
)
def test_a_tcp_service_is_judged_by_what_it_is_expected_to_say(
    send: bytes | None, expect: bytes | None, answer: bytes, missing: str
) -> None:
    with serving(saying(answer)) as port:
        found = reply_of(HERE, Service("redis", (HOME,), port, "tcp", send=send, expect=expect), HOME).missing
    assert missing in found
    assert bool(found) == bool(missing)


def test_a_tcp_service_that_speaks_first_in_pieces_is_heard_to_the_end() -> None:
    def greet(taken: socket.socket) -> None:
        for piece in (b"22", b"0 mail.ex", b"ample ready\r\n"):
            taken.sendall(piece)
        taken.recv(1)

    with serving(greet) as port:
        assert not reply_of(HERE, Service("mail", (HOME,), port, "tcp", expect=b"example ready"), HOME).missing


def streaming(head: bytes, pieces: int) -> Callable[[socket.socket], None]:
    """A head, and then so many pieces, ten a second."""

    def serve(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(head)
        taken.settimeout(0.1)
        for _ in range(pieces):
            taken.sendall(b"3\r\nabc\r\n")
            with suppress(TimeoutError):
                taken.recv(1)
        taken.sendall(b"0\r\n\r\n")

    return serve


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "pieces", "missing"),
    [
        (OK + CHUNKED, 30, ""),
        (OK + CHUNKED, 3, "its answer ends"),
        (b"HTTP/1.1 404 Not Found\r\n" + CHUNKED, 30, "answers 404"),
        (b"not http\r\n\r\n", 3, "its answer ends"),
    ],
)
def test_a_stream_goes_on_for_a_second_and_what_does_not_is_none(head: bytes, pieces: int, missing: str) -> None:
    with serving(streaming(head, pieces)) as port:
        found = missing_stream(HERE, http(port), HOME)
    assert missing in found
    assert bool(found) == bool(missing)


def test_a_stream_that_falls_silent_is_none() -> None:
    def serve(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(OK + CHUNKED)
        taken.recv(1)

    with serving(serve) as port:
        assert "TimeoutError" in missing_stream(HERE, http(port), HOME)


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Path]:
    """One with a loopback that is up."""
    path = tmp_path / "net"
    netns.create(path)
    netns.inside(path, lambda: subprocess.run(["ip", "link", "set", "lo", "up"], check=True))
    yield path
    netns.remove(path)


@pytest.mark.parametrize(("address", "family"), [(HOME, "ipv4"), ("::1", "ipv6")])
def test_pings_are_answered_unless_the_kernel_is_told_not_to(namespace: Path, address: str, family: str) -> None:
    assert answers_ping(namespace, address)
    ignore = "icmp_echo_ignore_all" if family == "ipv4" else "icmp/echo_ignore_all"
    netns.inside(namespace, lambda: Path(f"/proc/sys/net/{family}/{ignore}").write_text("1"))
    assert not answers_ping(namespace, address)
    assert not answers_ping(namespace, "203.0.113.10" if family == "ipv4" else "2001:db8::10"), "no route"


def test_who_takes_longer_than_is_usual_at_boot_answers_where_it_is_asked_patiently() -> None:
    def slowly(taken: socket.socket) -> None:
        while taken.recv(4096):
            time.sleep(1.5 * TIMEOUT_S)  # what is tested: a service that takes so long
            taken.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    with serving(slowly) as port:
        assert reply_of(HERE, http(port), HOME).silent
        assert reply_of(HERE, http(port), HOME, PATIENT_S) == Reply()
    assert not reply_of(HERE, http(port), HOME).silent, "refused"
