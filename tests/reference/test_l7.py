"""What must hold of the L7 node's parts and the application: bootstrap, decapsulation, responder, HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import struct
import subprocess
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from app.app import After, respond
from bpf import Object
from l7.attach import load, prefix_key
from l7.certificate import CertificateError, provide
from l7.config import ConfigError, parse_config
from l7.envoy import bootstrap
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from tests.probes import certificates
from tests.reference.tier import l7_config
from topologies.image.cache import cache_root

DROP, PASS = 1, 2


@pytest.fixture
def decap(decap_object: Path) -> Any:
    with load(l7_config("eu-l7-1"), decap_object) as loaded:
        assert isinstance(loaded, Object)
        yield loaded.program("decapsulate")


def tunnelled(inner: Any, to: str = "10.2.4.1") -> tuple[bytes, bytes]:
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    outer = IP(src="10.2.3.1", dst=to, proto=41 if IPv6 in inner else 4)
    return bytes(ether / outer / inner), bytes(ether / inner)


FOR_US = (IP(src="198.51.100.2", dst="203.0.113.20"), IPv6(src="2001:db8:2:9::1", dst="2001:db8:f::20"))
NOT_FOR_US = (IP(src="198.51.100.2", dst="10.2.4.1"), IPv6(src="2001:db8:2:9::1", dst="2001:db8:2:4::1"))


@pytest.mark.parametrize("head", FOR_US)
def test_a_tunnelled_packet_for_a_vip_comes_out_as_it_went_in(decap: Any, head: Any) -> None:
    frame, inner = tunnelled(head / UDP(dport=7) / bytes(40))
    ran = decap.test_run(frame)
    assert (ran.verdict, ran.frame) == (PASS, inner)


@pytest.mark.parametrize("head", NOT_FOR_US)
def test_a_tunnelled_packet_for_anything_else_is_dropped(decap: Any, head: Any) -> None:
    frame, _ = tunnelled(head / UDP(dport=7))
    assert decap.test_run(frame).verdict == DROP


def test_a_tunnel_that_ends_elsewhere_passes_unchanged(decap: Any) -> None:
    frame, _ = tunnelled(IP(src="198.51.100.2", dst="203.0.113.20") / UDP(dport=7), to="10.2.4.2")
    ran = decap.test_run(frame)
    assert (ran.verdict, ran.frame) == (PASS, frame)


def test_apps_of_the_own_region_come_first_and_others_only_after_them() -> None:
    made: Any = bootstrap(l7_config("eu-l7-1"))
    localities = made["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
    found = [(e["locality"]["region"], e["priority"], len(e["lb_endpoints"])) for e in localities]
    assert found == [("eu", 0, 2), ("us", 1, 1)]


def test_a_stream_has_no_deadline_and_every_other_answer_has_one() -> None:
    made: Any = bootstrap(l7_config("eu-l7-1"))
    for listener in made["static_resources"]["listeners"]:
        (manager,) = (f["typed_config"] for f in listener["filter_chains"][0]["filters"])
        stream, rest = manager["route_config"]["virtual_hosts"][0]["routes"]
        assert stream["match"] == {"path": "/stream"}
        assert (stream["route"]["timeout"], rest["route"]["timeout"]) == ("0s", "5s")
        assert float(stream["route"]["idle_timeout"].removesuffix("s")) >= 600


def test_the_admin_interface_is_not_reachable_from_the_network() -> None:
    made: Any = bootstrap(l7_config("eu-l7-1"))
    assert list(made["admin"]["address"]) == ["pipe"]


def test_by_tls_the_same_is_answered_as_in_the_clear() -> None:
    made: Any = bootstrap(l7_config("eu-l7-1"))
    clear, secure = (listener["filter_chains"][0] for listener in made["static_resources"]["listeners"])
    assert clear["filters"] == secure["filters"]
    assert "transport_socket" not in clear
    alone: Any = bootstrap(replace(l7_config("eu-l7-1"), tls=None))
    assert len(alone["static_resources"]["listeners"]) == 1


def test_a_certificate_is_made_once_for_its_host(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl(1), which the lab image has, is not on this host")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    provide("web.test", certificate, key)
    assert key.stat().st_mode & 0o077 == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    shown = ssl.create_default_context(cafile=str(certificate)).get_ca_certs()
    assert shown[0]["subjectAltName"] == (("DNS", "web.test"),)
    first = certificate.read_bytes()
    provide("web.test", certificate, key)
    assert certificate.read_bytes() == first


def test_without_openssl_or_a_place_for_it_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is not None:
        with pytest.raises(CertificateError, match=r"openssl made no certificate for web\.test"):
            provide("web.test", tmp_path / "none/cert.pem", tmp_path / "none/key.pem")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertificateError, match="openssl: No such file"):
        provide("web.test", tmp_path / "cert.pem", tmp_path / "key.pem")


def test_envoy_itself_accepts_the_bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificates.make(tmp_path).server  # key and certificate in one file
    monkeypatch.setattr("l7.envoy.CERTIFICATE", made)
    monkeypatch.setattr("l7.envoy.KEY", made)
    found = sorted(cache_root().glob("image/*/usr/local/bin/envoy"))
    if not found:
        pytest.skip("the lab image, which holds Envoy, has not been built yet: `./nospof up` builds it")
    path = tmp_path / "bootstrap.json"
    path.write_text(json.dumps(bootstrap(l7_config("eu-l7-1"))))
    argv = [str(found[-1]), "--mode", "validate", "-c", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("field", "says"), [("apps", "'apps' is missing"), ("loopback", "'loopback' is missing")])
def test_a_wrong_configuration_names_its_field(field: str, says: str) -> None:
    raw = {"name": "a", "region": "eu", "loopback": "10.2.4.1", "vips": [], "port": 80, "apps": []}
    with pytest.raises(ConfigError, match=says):
        parse_config({key: value for key, value in raw.items() if key != field})


@pytest.mark.parametrize(("family", "asked"), [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")])
def test_the_responder_answers_from_the_address_that_was_asked_and_appends_its_name(
    echo_program: Path, family: socket.AddressFamily, asked: str
) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as found:
        found.bind(("::", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen([echo_program, str(port), "me"])
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.1)
            answer = None
            for _ in range(50):  # until the responder has its port
                asking.sendto(b"probe-", (asked, port))
                try:
                    answer = asking.recvfrom(100)
                    break
                except TimeoutError:
                    continue
        assert answer is not None
        assert (answer[0], answer[1][:2]) == (b"probe-me", (asked, port))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("arguments", [[], ["0", "x"], ["70000", "x"], ["7", "x" * 65]])
def test_the_responder_refuses_wrong_arguments_with_a_sentence(echo_program: Path, arguments: list[str]) -> None:
    done = subprocess.run([echo_program, *arguments], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: echo PORT NAME")


KEEP, CLOSE, STREAM, STREAM_PLAIN = After.KEEP, After.CLOSE, After.STREAM, After.STREAM_PLAIN


@pytest.mark.parametrize(
    ("head", "status", "then"),
    [
        (b"GET / HTTP/1.1\r\nHost: web.test", b"200", KEEP),
        (b"GET /healthz?x=1 HTTP/1.1\r\nHost: web.test", b"200", KEEP),
        (b"GET / HTTP/1.1\r\nConnection: close", b"200", CLOSE),
        (b"GET / HTTP/1.0", b"200", CLOSE),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive", b"200", KEEP),
        (b"GET /other HTTP/1.1", b"404", KEEP),
        (b"GET /streams HTTP/1.1", b"404", KEEP),
        (b"POST / HTTP/1.1\r\nContent-Length: 0", b"405", KEEP),
        (b"POST /stream HTTP/1.1\r\nContent-Length: 0", b"405", KEEP),
        (b"POST / HTTP/1.1\r\nContent-Length: 3", b"400", CLOSE),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked", b"400", CLOSE),
        (b"nonsense", b"400", CLOSE),
        (b"GET /stream?x=1 HTTP/1.1", b"200", STREAM),
        (b"GET /stream HTTP/1.0", b"200", STREAM_PLAIN),
        (b"HEAD /stream HTTP/1.1", b"200", KEEP),
    ],
)
def test_the_application_answers_and_keeps_connections_as_http_says(head: bytes, status: bytes, then: After) -> None:
    answer, found = respond(head, "eu-app-1")
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"x-origin: eu-app-1\r\n" in answer
    assert found is then
    assert (b"connection: keep-alive" in answer) is (then in {KEEP, STREAM})


@pytest.mark.parametrize(("head", "chunked"), [(b"GET /stream HTTP/1.1", True), (b"GET /stream HTTP/1.0", False)])
def test_a_stream_has_no_length_and_chunks_only_for_who_knows_them(head: bytes, chunked: bool) -> None:
    answer, _ = respond(head, "eu-app-1")
    assert answer.endswith(b"\r\n\r\n"), "a head alone"
    assert b"content-length" not in answer
    assert (b"transfer-encoding: chunked" in answer) is chunked


def test_a_head_request_has_no_body_but_its_length() -> None:
    answer, _ = respond(b"HEAD / HTTP/1.1", "eu-app-1")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: 9\r\n" in answer


def test_prefixes_are_keyed_as_the_kernels_trie_wants_them() -> None:
    mapped = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 0])
    assert prefix_key(IPv4Network("203.0.113.0/24")) == struct.pack("I", 120) + mapped
    six = IPv6Network("2001:db8:f::/48")
    assert prefix_key(six) == struct.pack("I", 48) + six.network_address.packed
