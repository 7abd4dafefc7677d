"""One request on a connection of its own, waited for: to see whether somebody answers at all, never to measure."""

from __future__ import annotations

import socket

from probes.connections.held import speech_of
from probes.connections.speech import Answer, Offence
from probes.connections.target import Target
from probes.connections.tls import Tls

_CHUNK = 16384


def ask(target: Target, timeout_s: float) -> Answer:
    """The answer. `timeout_s` is how long the other end may be silent. Raises OSError, also for what is no HTTP."""
    with socket.create_connection((target.dst, target.dport), timeout_s) as sock:
        tls = Tls(target.tls, target) if target.tls else None
        if tls is not None:
            said, over = tls.shake()
            sock.sendall(said)
            while not over:
                said, over = tls.shake(_heard(sock))
                sock.sendall(said)
        speech = speech_of(target)
        asked = speech.ask()
        sock.sendall(tls.write(asked) if tls else asked)
        while True:
            data, ended = sock.recv(_CHUNK), False
            whole = not data
            if tls is not None:
                data, ended = tls.read(data)
            heard = list(speech.hear(data)) if data else []
            if ended or whole:
                heard += speech.hang_up()
            for one in heard:
                if isinstance(one, Answer):
                    return one
            if ended or whole or any(isinstance(one, Offence) for one in heard):
                raise ConnectionError(f"no answer by HTTP/{target.http}")


def _heard(sock: socket.socket) -> bytes:
    data = sock.recv(_CHUNK)
    if not data:
        raise ConnectionError("closed during the TLS handshake")
    return data
