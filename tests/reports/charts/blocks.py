"""Small packed blocks for the tests of single charts, and the strategies that make their states.

It knows the evidence's packing and no chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hypothesis import strategies as st

from reports.charts.scale import View
from reports.evidence.schema import Flow, Flows, Transport, pack_u8

STEP = 10_000_000
states = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 3, 4, 5, 6]), st.integers(1, 30)), max_size=30).map(
    lambda runs: b"".join(bytes([state]) * length for state, length in runs)
)


def block(
    flows: Sequence[bytes],
    vantage: str = "eu",
    transport: Transport = "udp",
    family: Literal[4, 6] = 4,
    touched: bool = True,
    event_ns: int = 0,
) -> Flows:
    return Flows(
        vantage=vantage,
        service="echo",
        interval_ns=STEP,
        t0_ns=0,
        t1_ns=max([len(state) for state in flows], default=0) * STEP,
        event_ns=event_ns,
        backends=("a", "b"),
        flows=tuple(
            Flow(id=n, src="10.0.0.1", sport=n, dst="::1", dport=7, touched=touched, first_due_ns=0, count=len(state))
            for n, state in enumerate(flows)
        ),
        state=pack_u8(b"".join(flows)),
        backend=pack_u8(bytes(sum(map(len, flows)))),
        transport=transport,
        family=family,
    )


def view(probes: int, start: int = 0) -> View:
    """An axis on which one probe is one unit wide."""
    return View("near", "near", start * STEP, (start + probes) * STEP, start * STEP, 0.0, float(probes))
