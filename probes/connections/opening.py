"""From a target to an established connection: TCP's handshake and, where it is wanted, TLS's. Judges nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass

from probes.connections.target import Target
from probes.connections.tls import HandshakeError, Tls

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CONNECT_TIMEOUT_S = 1.0
HANDSHAKE_TIMEOUT_S = 2.0
_CHUNK = 16384


@dataclass(frozen=True, slots=True)
class Established:
    """A socket, and what encrypts on it."""

    sock: socket.socket
    tls: Tls | None = None


async def establish(target: Target, sport: int) -> Established:
    """Raises OSError, for which `why` has words."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET6 if ":" in target.dst else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # an end without a long goodbye: its port is free at once, and nothing of ours lingers in the network
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.bind((target.src, sport))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await loop.sock_connect(sock, (target.dst, target.dport))
        if target.tls is None:
            return Established(sock)
        tls = Tls(target.tls, target)
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await _shake(tls, sock)
        except TimeoutError as late:
            raise HandshakeError("no TLS handshake in time") from late
        return Established(sock, tls)
    except BaseException:
        sock.close()
        raise


async def _shake(tls: Tls, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    said, over = tls.shake()
    while True:
        if said:
            await loop.sock_sendall(sock, said)
        if over:
            return
        heard = await loop.sock_recv(sock, _CHUNK)
        if not heard:
            raise HandshakeError("closed during the TLS handshake")
        said, over = tls.shake(heard)


def why(error: OSError) -> str:
    """Why there is no connection."""
    if isinstance(error, TimeoutError) and not error.errno:
        return "no handshake in time"
    return os.strerror(error.errno) if error.errno else str(error)
