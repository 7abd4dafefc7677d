"""A host that does not carry all probes is given time, then fewer of them, and never waited for without end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scenarios.bench import Bench


def _bench(calm_from: int, most: int = 2) -> tuple[Bench, list[str], Any]:
    """A bench whose instruments are calm once they are thinned so many times over."""

    class Instruments:
        thinned = 1

        @property
        def interval_ns(self) -> int:
            return 10_000_000 * self.thinned

        def restless(self) -> str:
            return "" if self.thinned >= calm_from else "answers to x come 90.0 ms late (p99)"

        def thin(self) -> bool:
            if self.thinned >= most:
                return False
            self.thinned *= 2
            return True

    said: list[str] = []
    instruments = Instruments()
    return Bench(cast(Any, SimpleNamespace()), cast(Any, instruments), cast(Any, None), said.append), said, instruments


def test_a_calm_host_carries_every_probe() -> None:
    bench, said, instruments = _bench(calm_from=1)
    bench.calm(0)
    assert (instruments.thinned, said) == (1, [])


@pytest.mark.parametrize("calm_from", [2, 4])
def test_a_busy_host_is_given_fewer_probes_once_and_told_why(calm_from: int) -> None:
    bench, said, instruments = _bench(calm_from)
    bench.calm(0)
    assert instruments.thinned == 2
    (sentence,) = said
    assert "20 ms" in sentence
    assert "answers to x come 90.0 ms late" in sentence
