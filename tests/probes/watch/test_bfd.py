"""BFD packets are read as RFC 5880 draws them, and only what is new in them is told."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.bfd import BFD

from probes.watch import bfd
from tests.probes.watch import made
from tests.probes.watch.made import patient

# bfdd of FRR 10.3, 150 ms after its neighbour fell silent.
GOLDEN = bytes.fromhex("21400318 7d1a14fe 00000000 0000c350 0000c350 0000c350")


def test_a_packet_of_a_real_router() -> None:
    assert bfd.parse(GOLDEN) == bfd.Control("down", 1, 3, 0x7D1A14FE, 0, 50_000, 50_000)
    assert bfd.parse(GOLDEN).reason == "control detection time expired"


@patient
@given(
    state=st.integers(0, 3),
    diagnostic=st.integers(0, 31),
    multiplier=st.integers(1, 255),
    mine=st.integers(1, 2**32 - 1),
    yours=st.integers(0, 2**32 - 1),
    tx=st.integers(0, 2**32 - 1),
    rx=st.integers(0, 2**32 - 1),
    poll=st.booleans(),
)
def test_it_reads_what_scapy_wrote(
    state: int, diagnostic: int, multiplier: int, mine: int, yours: int, tx: int, rx: int, poll: bool
) -> None:
    written = BFD(
        diag=diagnostic,
        sta=state,
        flags="P" if poll else "F",
        detect_mult=multiplier,
        my_discriminator=mine,
        your_discriminator=yours,
        min_tx_interval=tx,
        min_rx_interval=rx,
    )
    read = bfd.parse(bytes(written))
    assert read == bfd.Control(bfd.STATES[state], diagnostic, multiplier, mine, yours, tx, rx, poll, not poll)
    assert read.reason


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        GOLDEN[:23],
        b"\x41" + GOLDEN[1:],  # version 2
        GOLDEN[:3] + b"\x19" + GOLDEN[4:],  # longer than it is
        GOLDEN[:2] + b"\0" + GOLDEN[3:],
        GOLDEN[:4] + bytes(4) + GOLDEN[8:],
        b"\x21\x44" + GOLDEN[2:],  # authenticated, without room for it
    ],
)
def test_what_a_receiver_must_discard_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="BFD"):
        bfd.parse(raw)


@patient
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        bfd.parse(raw)


@patient
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 8))))
def test_an_end_is_told_of_when_it_says_something_else_than_before(said: list[tuple[str, int, int]]) -> None:
    sessions = bfd.Sessions()
    before: dict[str, tuple[int, int]] = {}
    for end, state, diagnostic in said:
        now = state, 0 if state == made.UP else diagnostic
        changed = sessions.changed(end, bfd.parse(made.bfd(state, diagnostic)))
        assert changed == (before.get(end) != now)
        before[end] = now
