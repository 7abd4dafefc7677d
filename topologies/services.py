"""Services of a contract: a VIP, a port, a protocol, and how an answer names its backend.

Must not know what serves them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Literal, cast

from topologies.document import Value, shown
from topologies.figures import Durations, read_duration
from topologies.problems import closest, one_of

Protocol = Literal["http", "https", "tcp", "udp"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "https", "tcp", "udp")
Spoken = Literal[Protocol, "tcp with 'expect'"]
"""What decides by which instruments a service can be measured: its protocol, and whether a tcp service says what to expect."""
HttpVersion = Literal["1.1", "2"]
HTTP_VERSIONS = ("1.1", "2")

_REQUIRED = {"vip": "one address, or an IPv4 and an IPv6 one", "port": "1–65535", "protocol": one_of(PROTOCOLS)}
_HTTP_TEXTS = ("host", "identity", "path", "stream")
_HTTP_ONLY = (*_HTTP_TEXTS, "http", "idle", "tls")
_TCP_ONLY = ("expect", "send")
MOST_WORDS_BYTES = 4096
_IDLE = Durations("60s", "over 0s", 1)
_BYTES = 'ASCII characters, in double quotes with escapes from \\x00 to \\xff, such as "PING\\r\\n"'
_VERSIONS = "versions of HTTP, each once, such as [1.1, 2]"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# RFC 9110 section 5.6.2, a token: what a header's name may be.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Service:
    """What clients reach. `vip` holds one address per family, IPv4 first; `identity` is the response header that
    names the backend. `host`, `path`, `identity` and `http`, the versions that it speaks, are of HTTP only, be it in the clear or by
    TLS (https); `path` is `/` unless given. `ca`: a file of certificates, one of which signed the service's; None: any will do.

    `stream`: the path of an answer that goes on for as long as it is read. `idle_ns`: after which time it closes a connection on which
    nothing is asked, in nanoseconds; None: not known. Of `tcp` only: `expect`, bytes that the answer to `send` holds or, where
    nothing is sent, that the service says by itself, each of at most MOST_WORDS_BYTES; None: that it accepts is all that can be
    judged."""

    name: str
    vip: tuple[str, ...]
    port: int
    protocol: Protocol
    host: str | None = None
    path: str | None = None
    identity: str | None = None
    http: tuple[HttpVersion, ...] = ()
    ca: Path | None = None
    stream: str | None = None
    idle_ns: int | None = None
    send: bytes | None = None
    expect: bytes | None = None

    @property
    def speaks_http(self) -> bool:
        """In the clear or by TLS."""
        return self.protocol in ("http", "https")

    @property
    def answers_requests(self) -> bool:
        """Whether it is known what an answer of it is: new requests can be made."""
        return self.speaks_http or self.expect is not None

    @property
    def spoken(self) -> frozenset[Spoken]:
        """By what it can be measured."""
        return frozenset((self.protocol,) if self.expect is None else (self.protocol, "tcp with 'expect'"))

    @property
    def transport(self) -> Literal["tcp", "udp"]:
        return "udp" if self.protocol == "udp" else "tcp"

    @property
    def vip4(self) -> str | None:
        return next((vip for vip in self.vip if ":" not in vip), None)

    @property
    def vip6(self) -> str | None:
        return next((vip for vip in self.vip if ":" in vip), None)


def read_services(value: Value, lies_in_a_prefix: Callable[[Address], str | None]) -> dict[str, Service]:
    """The services by name. `lies_in_a_prefix` says what would be right of an address that lies in none."""
    entries = value.entries("a mapping of names to services")
    if not entries and value.shape == "a mapping":
        value.complain("at least one service", "none")
    services: dict[str, Service] = {}
    taken: dict[tuple[str, int, str], str] = {}
    for name, entry in entries.items():
        if not _NAME.fullmatch(name):
            entry.complain_of_key(f"the name {shown(name)}", "letters, digits, '-', '_' and '.'")
        service = _service(name, entry, lies_in_a_prefix)
        if service is None:
            continue
        services[name] = service
        for vip in service.vip:
            other = taken.setdefault((vip, service.port, service.transport), name)
            if other != name:
                found = f"{vip} port {service.port}/{service.transport} again, first in {other!r}"
                entry.complain_of_key(found, "every address, port and transport once")
    return services


def _service(name: str, value: Value, lies_in_a_prefix: Callable[[Address], str | None]) -> Service | None:
    fields = value.fields("a service", (*_REQUIRED, *_HTTP_ONLY, *_TCP_ONLY))
    for key, expected in _REQUIRED.items():
        if key not in fields:
            value.complain_missing(key, expected)
    vip = _vip(fields["vip"], lies_in_a_prefix) if "vip" in fields else ()
    port = fields["port"].integer(1, 65535, "a port, 1–65535") if "port" in fields else None
    protocol = _protocol(fields["protocol"]) if "protocol" in fields else None
    texts = {key: _http_text(key, fields[key]) for key in _HTTP_TEXTS if key in fields}
    versions = _versions(fields["http"]) if "http" in fields else ("1.1",)
    ca = _ca(fields["tls"]) if "tls" in fields else None
    idle_ns = read_duration(fields["idle"], _IDLE) if "idle" in fields else None
    send, expect = (_bytes(fields[key]) if key in fields else None for key in ("send", "expect"))
    if "send" in fields and "expect" not in fields:
        fields["send"].complain_of_key("'send' without 'expect'", "'expect' too: what the answer has to hold")
    for keys, right, wrong in (
        (_HTTP_ONLY, "http or https", ("tcp", "udp")),
        (_TCP_ONLY, "tcp", ("http", "https", "udp")),
    ):
        for key in (key for key in keys if key in fields and protocol in wrong):
            fields[key].complain_of_key(f"the key {key!r}", f"it with protocol {right} only, not {protocol}")
    if protocol == "http" and "tls" in fields:
        fields["tls"].complain_of_key("the key 'tls' with protocol http", "protocol https with it")
    if not vip or port is None or protocol is None:
        return None
    if protocol in ("tcp", "udp"):
        return Service(name, vip, port, protocol, send=send, expect=expect)
    return Service(
        name,
        vip,
        port,
        protocol,
        host=texts.get("host"),
        path=texts.get("path") or "/",
        identity=texts.get("identity"),
        http=versions,
        ca=ca,
        stream=texts.get("stream"),
        idle_ns=idle_ns,
    )


def _versions(value: Value) -> tuple[HttpVersion, ...]:
    items = value.items(_VERSIONS)
    if not items and value.shape.startswith("a list"):
        value.complain(_VERSIONS)
    found: list[HttpVersion] = []
    for item in items:
        text = item.text(_VERSIONS)
        if text is None:
            continue
        if text not in HTTP_VERSIONS:
            item.complain(one_of(HTTP_VERSIONS))
        elif text in found:
            item.complain(_VERSIONS, f"{text} again")
        else:
            found.append(cast("HttpVersion", text))
    return tuple(found) or ("1.1",)


def _ca(value: Value) -> Path | None:
    """The file, from where the contract lies."""
    fields = value.fields("tls", ("ca",))
    expected = "a file of certificates in PEM, named from where the contract lies"
    text = fields["ca"].text(expected) if "ca" in fields else None
    if not text:
        return None
    path = value.document.file.parent / text
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        fields["ca"].complain(expected, f"{text}, in which there is none")
    except OSError as error:
        fields["ca"].complain(expected, f"{text}: {(error.strerror or str(error)).lower()}")
    return path.resolve()


def _vip(value: Value, lies_in_a_prefix: Callable[[Address], str | None]) -> tuple[str, ...]:
    expected = "an address, or a list of an IPv4 and an IPv6 one"
    items = value.items(expected) if value.shape.startswith("a list") else [value]
    if not items:
        value.complain(expected)
    by_family: dict[int, Address] = {}
    for item in items:
        text = item.text(expected)
        if text is None:
            continue
        address = _address(text)
        if address is None:
            item.complain("an IPv4 or IPv6 address such as 203.0.113.10 or '2001:db8:f::10'")
            continue
        if address.version in by_family:
            item.complain(f"one IPv{address.version} address per service; another service for the other")
        if (prefixes := lies_in_a_prefix(address)) is not None:
            item.complain(f"an address in one of the contract's prefixes, {prefixes}", f"{text}, which lies in none")
        by_family.setdefault(address.version, address)
    return tuple(str(by_family[family]) for family in sorted(by_family))


def _address(text: str) -> Address | None:
    if "%" in text:  # a scope: it names an interface of one host, which no VIP can
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _protocol(value: Value) -> Protocol | None:
    text = value.text(one_of(PROTOCOLS))
    if text is not None and text not in PROTOCOLS:
        value.complain(f"{one_of(PROTOCOLS)}{closest(text, PROTOCOLS)}")
        return None
    return text


def _http_text(key: str, value: Value) -> str | None:
    # These are sent as they are, so nothing may end a line of the request early.
    path = re.compile(r"/[!-~]*")
    rules = {
        "host": (re.compile(r"[!-~]+"), "a host name such as web.test"),
        "path": (path, "a path that begins with '/', without spaces"),
        "stream": (path, "a path that begins with '/', without spaces, whose answer goes on for as long as it is read"),
        "identity": (_TOKEN, "the name of a response header, such as x-backend"),
    }
    pattern, expected = rules[key]
    text = value.text(expected)
    if text is not None and not pattern.fullmatch(text):
        value.complain(expected)
        return None
    return text


def _bytes(value: Value) -> bytes | None:
    """What goes over the wire: one byte for each character. A letter beyond ASCII would leave open which bytes are meant."""
    written = value.written
    found = None
    if written:
        if not written.isascii():
            found = f"{shown(written)}, which is not ASCII"
        elif "\\" in written and not value.double_quoted:
            found = f"{shown(written)}, an escape without double quotes"
        elif value.node.value and max(value.node.value) > "\xff":
            found = f"{shown(written)}, a character that is no byte"
        elif len(value.node.value) > MOST_WORDS_BYTES:
            value.complain(f"at most {MOST_WORDS_BYTES} bytes", f"{len(value.node.value)}")
            return None
        elif value.node.value:
            return str(value.node.value).encode("latin-1")
    value.complain(_BYTES, found)
    return None
