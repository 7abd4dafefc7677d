"""The byte layout of the requester's two files, as numpy types. Mirrors probes/native/requester/records.h, and knows no more."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import numpy as np

from probes.layout import NO_BACKEND, paged
from probes.requests.plan import RequestSeries

PLAN_MAGIC = 0x5150534E
RECORD_MAGIC = 0x5351534E
VERSION = 2
ERRNOS = 256
TICKS = 8192

IN_THE_CLEAR, ANY_CERTIFICATE, VERIFIED = range(3)
_VERSIONS = {None: 0, "1.1": 1, "2": 2}

PLAN_HEADER = np.dtype([("magic", "u4"), ("version", "u4"), ("series_count", "u4"), ("capacity", "u4")])

PLAN_SERIES = np.dtype(
    [
        ("id", "u4"),
        ("family", "u2"),
        ("dport", "u2"),
        ("base_port", "u2"),
        ("ports", "u2"),
        ("src", "u1", 16),
        ("dst", "u1", 16),
        ("http", "u1"),
        ("security", "u1"),
        ("send_bytes", "u2"),
        ("expect_bytes", "u2"),
        ("reserved", "u2", 3),
        ("interval_ns", "i8"),
        ("phase_ns", "i8"),
        ("host", "S320"),
        ("name", "S320"),
        ("path", "S2048"),
        ("identity", "S128"),
        ("certificates", "S4096"),
        ("send", "S4096"),
        ("expect", "S4096"),
    ],
    align=True,
)

HEADER = np.dtype(
    [
        ("magic", "u4"),
        ("version", "u4"),
        ("header_bytes", "u4"),
        ("series_count", "u4"),
        ("capacity", "u4"),
        ("record_bytes", "u4"),
        ("pid", "u4"),
        ("state", "u4"),
        ("start_ns", "i8"),
        ("heartbeat_ns", "i8"),
        ("sent", "u8"),
        ("good", "u8"),
        ("failed", "u8"),
        ("not_sent", "u8"),
        ("harness_errors", "u8"),
        ("unstamped", "u8"),
        ("names_overflow", "u8"),
        ("tick_count", "u8"),
        ("name_count", "u4"),
        ("open", "u4"),
        ("errors", "u8", ERRNOS),
        ("names", "S64", 64),
        ("ticks", [("mono_ns", "i8"), ("offset_ns", "i8"), ("late_ns", "i8")], TICKS),
        ("error", "S256"),
    ],
    align=True,
)

SERIES_STATUS = np.dtype([("id", "u4"), ("reserved", "u4"), ("next_seq", "u8"), ("said", "S112")], align=True)

RECORD = np.dtype(
    [
        ("seq", "u8"),
        ("due_ns", "i8"),
        ("sent_ns", "i8"),
        ("connected_ns", "i8"),
        ("handshaken_ns", "i8"),
        ("first_byte_ns", "i8"),
        ("done_ns", "i8"),
        ("sport", "u2"),
        ("status", "u2"),
        ("backend", "u1"),
        ("outcome", "u1"),
        ("written", "u1"),
        ("reserved", "u1"),
    ],
    align=True,
)

__all__ = ["HEADER", "NO_BACKEND", "RECORD", "SERIES_STATUS", "pack_plan", "parts", "record_bytes"]


def pack_plan(series: Iterable[RequestSeries], capacity: int) -> bytes:
    """The plan file's bytes. Raises ValueError for a text that there is no room for."""
    rows = np.array([_row(one) for one in series], PLAN_SERIES)
    return np.array((PLAN_MAGIC, VERSION, len(rows), capacity), PLAN_HEADER).tobytes() + rows.tobytes()


def record_bytes(series: int, capacity: int) -> int:
    """How large the record file is."""
    ring_at = paged(HEADER.itemsize) + paged(series * SERIES_STATUS.itemsize)
    return ring_at + series * capacity * RECORD.itemsize


def parts(raw: np.memmap[tuple[int], np.dtype[np.uint8]], series: int, capacity: int) -> tuple[np.ndarray, ...]:
    """The record file's header, its rows of SERIES_STATUS, and its records as [series, slot]; all of them views."""
    status_at = paged(HEADER.itemsize)
    ring_at = status_at + paged(series * SERIES_STATUS.itemsize)
    return (
        raw[: HEADER.itemsize].view(HEADER).reshape(()),
        raw[status_at : status_at + series * SERIES_STATUS.itemsize].view(SERIES_STATUS),
        raw[ring_at:].view(RECORD).reshape(series, capacity),
    )


def _row(one: RequestSeries) -> tuple[object, ...]:
    family = socket.AF_INET6 if one.family == 6 else socket.AF_INET
    ca = None if one.tls is None else one.tls.ca
    return (
        one.id,
        int(family),
        one.dport,
        one.base_port,
        one.ports,
        _address(family, one.src),
        _address(family, one.dst),
        _VERSIONS[one.http],
        IN_THE_CLEAR if one.tls is None else ANY_CERTIFICATE if ca is None else VERIFIED,
        len(one.send),
        len(one.expect),
        0,
        one.interval_ns,
        one.phase_ns,
        _text(one, "host", one.host),
        _text(one, "name", one.name),
        _text(one, "path", one.path),
        _text(one, "identity", one.identity or ""),
        _text(one, "certificates", ca or ""),
        one.send,
        one.expect,
    )


def _address(family: socket.AddressFamily, text: str) -> np.ndarray:
    return np.frombuffer(socket.inet_pton(family, text).ljust(16, b"\0"), np.uint8)


def _text(one: RequestSeries, field: str, text: str) -> bytes:
    raw = text.encode()
    room = PLAN_SERIES[field].itemsize - 1  # each ends with a zero
    if len(raw) > room or b"\0" in raw:
        raise ValueError(f"series {one.id}: its {field} is {len(raw)} bytes long, and there is room for {room}")
    return raw
