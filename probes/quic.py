"""The head of a QUIC packet (RFC 9000 §17), so that what treats QUIC apart treats a probe so. It knows no handshake and no keys.

What follows such a head on a real wire is ciphertext; here it is a probe's payload. Every flow has a connection ID of its own, the
same in all of its packets: a balancer that routes by connection ID (RFC 9000 §5.1) keeps the flow together.
"""

from __future__ import annotations

from typing import Literal

Form = Literal["long", "short"]

VERSION = 1
CONNECTION_ID_BYTES = 8
PACKET_NUMBER_BYTES = 4
LEAST_INITIAL = 1200
"""Bytes of UDP payload that a client's Initial has at least (RFC 9000 §14.1)."""

_FIXED = 0x40
_LONG_INITIAL = 0x80 | _FIXED
_TWO_BYTE_LENGTH = 0x4000
_LONGEST = 0x3FFF


def connection_id(flow_id: int) -> bytes:
    """A flow's connection ID."""
    return flow_id.to_bytes(CONNECTION_ID_BYTES, "big")


def head_bytes(form: Form) -> int:
    """How many bytes a head of this form has."""
    return len(head(form, 0, 0))


def head(form: Form, flow_id: int, payload_bytes: int) -> bytes:
    """An Initial's head (long) or that of a 1-RTT packet (short), with packet number 0: on the wire nobody could read it.

    Raises ValueError for a payload that a length of two bytes cannot tell.
    """
    number = bytes(PACKET_NUMBER_BYTES)
    identity = connection_id(flow_id)
    if form == "short":
        return bytes([_FIXED | PACKET_NUMBER_BYTES - 1]) + identity + number
    rest = PACKET_NUMBER_BYTES + payload_bytes
    if rest > _LONGEST:
        raise ValueError(f"a QUIC Initial with {payload_bytes} bytes of payload: at most {_LONGEST} bytes can be told")
    return (
        bytes([_LONG_INITIAL | PACKET_NUMBER_BYTES - 1])
        + VERSION.to_bytes(4, "big")
        + bytes([len(identity)])
        + identity
        + bytes([0])  # no source connection ID
        + bytes([0])  # no token
        + (_TWO_BYTE_LENGTH | rest).to_bytes(2, "big")
        + number
    )
