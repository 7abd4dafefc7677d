"""Full-size packets: what is asked in them has their size, and what a path loses of them is seen. Real servers, each in a namespace of
its own."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scenarios import full_size, steady
from scenarios.answering import Answering
from scenarios.answers import Reply, reply_of
from scenarios.full_size import NoAnswer, unanswered_in_full_size
from topologies.linux import netns
from topologies.services import HttpVersion, Service

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a namespace")
HOME, HOME6 = "127.0.0.1", "::1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_LARGE = """
add table inet t
add chain inet t in { type filter hook input priority 0 ; }
add rule inet t in meta length > 1300 drop
"""


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Path]:
    """One with a loopback that is up."""
    path = tmp_path / "net"
    netns.create(path)
    told(path, "ip", "link", "set", "lo", "up")
    yield path
    netns.remove(path)


def told(namespace: Path, *words: str, said: str | None = None) -> None:
    netns.inside(namespace, lambda: subprocess.run(words, input=said, text=True, check=True))


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def echoing(namespace: Path, address: str, most: int = 65536) -> Iterator[Service]:
    """A udp service that answers with the first bytes of what it heard, and a name."""
    sock = netns.inside(namespace, lambda: socket.socket(family(address), socket.SOCK_DGRAM))
    sock.bind((address, 0))

    def serve() -> None:
        while (heard := sock.recvfrom(65536))[0] != b"end":
            sock.sendto(heard[0][:most] + b"me", heard[1])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Service("echo", (address,), sock.getsockname()[1], "udp")
    finally:
        with netns.inside(namespace, lambda: socket.socket(family(address), socket.SOCK_DGRAM)) as last:
            last.sendto(b"end", sock.getsockname())
        thread.join()
        sock.close()


@contextmanager
def web(
    namespace: Path, address: str, answer: bytes | Callable[[bytes], bytes], http: tuple[HttpVersion, ...] = ("1.1",)
) -> Iterator[tuple[Service, list[tuple[int, bytes]]]]:
    """An http service with that answer to a whole header; and of each connection how large its segments may be and what came."""
    came: list[tuple[int, bytes]] = []

    def one(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            mss, heard = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), b""
            while more := taken.recv(65536):
                heard += more
                if heard.endswith(b"\r\n\r\n"):
                    taken.sendall(answer(heard) if callable(answer) else answer)
            came.append((mss, heard))

    def take() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with netns.inside(namespace, lambda: socket.create_server((address, 0), family=family(address))) as listener:
        threading.Thread(target=take, daemon=True).start()
        yield Service("web", (address,), listener.getsockname()[1], "http", "web.test", "/", http=http), came
        listener.shutdown(socket.SHUT_RDWR)


def heard_by(came: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Of the one connection, once it is over."""
    for _ in range(200):
        if came:
            break
        threading.Event().wait(0.01)
    (one,) = came
    return one


@needs_root
@pytest.mark.parametrize("address", [HOME, HOME6])
def test_who_answers_what_is_large_is_heard(namespace: Path, address: str) -> None:
    with echoing(namespace, address) as echo, web(namespace, address, OK) as (site, came):
        assert unanswered_in_full_size(namespace, echo, address) is None
        assert unanswered_in_full_size(namespace, site, address) is None
        mss, request = heard_by(came)
    headers = 60 if address == HOME6 else 40
    assert mss + 12 + headers == 1400 or mss + headers == 1400, "12: of TCP's time stamps"
    assert len(request) > 1400
    assert request.startswith(b"GET / HTTP/1.1\r\nHost: web.test\r\n")


@needs_root
@pytest.mark.parametrize("address", [HOME, HOME6])
def test_what_a_path_loses_is_seen_though_small_packets_pass(namespace: Path, address: str) -> None:
    told(namespace, "nft", "-f", "-", said=NO_LARGE)
    with echoing(namespace, address) as echo, web(namespace, address, OK) as (site, _):
        for service in (echo, site):
            assert reply_of(namespace, service, address).missing == ""
            found = unanswered_in_full_size(namespace, service, address)
            assert found is not None
            assert "TimeoutError" in found.why
            assert not found.ours


@needs_root
@pytest.mark.parametrize("address", [HOME, HOME6])
def test_a_link_of_its_own_that_takes_no_such_packet_is_named(namespace: Path, address: str) -> None:
    """As far as UDP goes: TCP keeps to its link by itself."""
    told(namespace, "ip", "link", "set", "lo", "mtu", "1300")
    with echoing(namespace, address) as echo, web(namespace, address, OK) as (site, _):
        found = unanswered_in_full_size(namespace, echo, address)
        assert found is not None
        assert found.why.startswith("its own link does not take 1,400-byte packets")
        assert not found.ours
        assert unanswered_in_full_size(namespace, site, address) is None


@needs_root
def test_an_echo_that_is_cut_short_is_none(namespace: Path) -> None:
    with echoing(namespace, HOME, most=512) as echo:
        found = unanswered_in_full_size(namespace, echo, HOME)
    assert found is not None
    assert re.fullmatch(r"answers 514 bytes, b'NSPF.*' …, to an echo of 1372", found.why)


@needs_root
@pytest.mark.parametrize(
    ("status", "answers"),
    [("400 Bad", True), ("431 Too Large", True), ("408 Timeout", False), ("502 Bad", False), ("504 Late", False)],
)
def test_a_refusal_of_a_long_header_has_come_all_the_way_and_a_proxy_that_gives_up_has_not(
    namespace: Path, status: str, answers: bool
) -> None:
    def answer(heard: bytes) -> bytes:
        return OK if len(heard) < 1000 else f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()

    with web(namespace, HOME, answer) as (site, _):
        assert reply_of(namespace, site, HOME).missing == ""
        found = unanswered_in_full_size(namespace, site, HOME)
    assert found == (None if answers else NoAnswer(f"answers {status[:3]} by HTTP/1.1"))


@needs_root
def test_http2_makes_no_short_request_of_it(namespace: Path) -> None:
    with web(namespace, HOME, OK, ("2",)) as (site, came):
        assert unanswered_in_full_size(namespace, site, HOME) is not None, "it speaks none"
        _, request = heard_by(came)
    assert len(request.partition(b"SM\r\n\r\n")[2]) > 1400


@needs_root
def test_a_host_that_cannot_ask_tells_nothing_of_the_stack(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(full_size, "_udp", full)
    found = unanswered_in_full_size(namespace, Service("echo", (HOME,), 7, "udp"), HOME)
    assert found is not None
    assert found.ours
    assert "could not be sent" in found.why


ECHO = Service("echo", (HOME,), 7, "udp")
PORT = Service("port", (HOME,), 5432, "tcp")


def asked_of(
    monkeypatch: pytest.MonkeyPatch, full: dict[str, list[NoAnswer | None]], small: str = ""
) -> tuple[Answering, list[str]]:
    """What came of two vantages that hear both services; `full`: what each hears in turn. And who asked, in order."""
    asked: list[str] = []

    def one(namespace: str, service: Service, _: str) -> NoAnswer | None:
        assert service is ECHO
        asked.append(namespace)
        return full[namespace].pop(0)

    monkeypatch.setattr(steady, "unanswered_in_full_size", one)
    monkeypatch.setattr(steady, "reply_of", lambda *_: Reply(small))
    lab, contract = SimpleNamespace(netns=str), SimpleNamespace(services={s.name: s for s in (ECHO, PORT)})
    known = Answering(("eu", "us"))
    return steady.asked_in_full_size(cast(Any, lab), cast(Any, contract), known), asked


SILENCE, OURS = NoAnswer("silence"), NoAnswer("ENOBUFS", ours=True)


def test_who_has_an_answer_is_not_asked_again_and_who_has_none_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = asked_of(monkeypatch, {"eu": [None], "us": [SILENCE, SILENCE, SILENCE]})
    assert sorted(asked) == ["eu", "us", "us", "us"]
    assert found.too_large == {("us", "echo", HOME): "silence"}
    assert found.size_unknown == {}


def test_one_lost_packet_is_no_size_that_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = asked_of(monkeypatch, {"eu": [SILENCE, OURS, None], "us": [SILENCE, None]})
    assert found == Answering(("eu", "us"))


def test_what_could_not_be_asked_and_what_is_silent_to_small_ones_too_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, _ = asked_of(monkeypatch, {"eu": [OURS, OURS, OURS], "us": [SILENCE, SILENCE, SILENCE]})
    assert found.size_unknown == {("eu", "echo", HOME): "ENOBUFS"}
    assert found.too_large == {("us", "echo", HOME): "silence"}
    found, _ = asked_of(monkeypatch, {"eu": [None], "us": [SILENCE, SILENCE, SILENCE]}, small="refused")
    assert found.too_large == {}
    assert found.size_unknown == {("us", "echo", HOME): "small ones have none now, either: refused"}
