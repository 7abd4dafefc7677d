"""BGP messages out of the TCP segments that carried them: several in one, one over several, some never seen.

Pure: it knows sequence numbers and the marker; what a message means is bgp.py's."""

from __future__ import annotations

import struct

from probes.watch.bgp import HEADER, MARKER

LONGEST = 65535  # RFC 8654; 4096 before
FAR = 1 << 20  # sequence numbers further apart than any window here: another connection on the same ports


class Stream:
    """One direction of one connection. Segments come in the order they were sent; repetitions are dropped.

    KEEPALIVEs are not handed to us, so a hole between two messages is normal; one *within* a message costs it.
    `skipped` counts the bytes that belonged to no whole message.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._held = b""
        self.skipped = 0

    def feed(self, seq: int, payload: bytes, missing: int = 0) -> list[bytes]:
        """The messages that are whole now. `missing` bytes follow the payload that nobody copied."""
        if self._next is not None:
            ahead = (seq - self._next + (1 << 31)) % (1 << 32) - (1 << 31)
            if -FAR < ahead < 0:
                seq, payload = self._next, payload[-ahead:]
                if not payload:
                    return []
            elif ahead:
                self._drop_held()
        found = self._split(self._held + payload)
        self._next = (seq + len(payload)) % (1 << 32)
        if missing:
            self._drop_held()
            self.skipped += missing
            self._next = (self._next + missing) % (1 << 32)
        return found

    def _drop_held(self) -> None:
        self.skipped += len(self._held)
        self._held = b""

    def _split(self, buffer: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = 0
        while len(buffer) - at >= HEADER:
            length = struct.unpack_from("!H", buffer, at + 16)[0]
            if buffer[at : at + 16] != MARKER or length < HEADER:
                following = buffer.find(MARKER, at + 1)
                # A marker may begin in the last bytes: those are kept.
                onward = following if following >= 0 else max(at + 1, len(buffer) - len(MARKER) + 1)
                self.skipped += onward - at
                at = onward
            elif at + length > len(buffer):
                break
            else:
                found.append(buffer[at : at + length])
                at += length
        self._held = buffer[at:]
        return found
