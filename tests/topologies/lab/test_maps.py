"""A map is read and emptied whole, however much is in it."""

from __future__ import annotations

import os

import pytest

from topologies.linux.wire import Wire

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.mark.parametrize("count", [0, 1, 4096, 10_000])
def test_a_map_is_read_and_emptied_whole(count: int) -> None:
    wire, programs = Wire.load()
    try:
        taps = programs.map("taps")
        pairs = {n.to_bytes(40, "little"): n.to_bytes(24, "little") for n in range(count)}
        for key, value in pairs.items():
            taps.update(key, value)
        assert dict(taps.items()) == pairs
        taps.clear()
        assert taps.items() == []
        taps.close()
    finally:
        wire.close()
        programs.close()
