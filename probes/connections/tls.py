"""TLS of one connection between bytes of the wire and bytes of HTTP. Knows no sockets and no clocks."""

from __future__ import annotations

import ssl
from functools import cache

from probes.connections.target import Security, Target, Version

_CHUNK = 65536
_NAMES: dict[Version, str] = {"1.1": "http/1.1", "2": "h2"}  # as ALPN has them (RFC 7301)


class HandshakeError(ConnectionError):
    """TLS was not agreed on; the message says why."""


@cache
def _context(security: Security, version: Version) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if security.ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(security.ca)
    context.set_alpn_protocols([_NAMES[version]])
    return context


class Tls:
    """Our end. Raises OSError where the file of certificates cannot be read."""

    def __init__(self, security: Security, target: Target) -> None:
        self._version = target.http
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = _context(security, target.http)
        self._object = context.wrap_bio(self._in, self._out, server_hostname=target.name)

    def shake(self, data: bytes = b"") -> tuple[bytes, bool]:
        """Goes on with the handshake: what to send, and whether it is over. Raises HandshakeError."""
        self._in.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return self._out.read(), False
        except ssl.SSLCertVerificationError as error:
            raise HandshakeError(f"the certificate does not fit: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise HandshakeError(f"no TLS: {(error.reason or str(error)).lower().replace('_', ' ')}") from error
        agreed = self._object.selected_alpn_protocol()
        if agreed != _NAMES[self._version] and (agreed, self._version) != (None, "1.1"):
            raise HandshakeError(f"HTTP/{self._version} was not agreed on (ALPN: {agreed or 'nothing'})")
        return self._out.read(), True

    def read(self, data: bytes) -> tuple[bytes, bool]:
        """What those bytes of the wire say, and whether the other end said that it ends. Raises ssl.SSLError."""
        self._in.write(data)
        parts = []
        try:
            while part := self._object.read(_CHUNK):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts), False
        except ssl.SSLZeroReturnError:
            pass
        return b"".join(parts), True

    def write(self, data: bytes) -> bytes:
        """Those bytes as they go onto the wire, together with whatever TLS itself has to say."""
        if data:
            self._object.write(data)
        return self._out.read()
