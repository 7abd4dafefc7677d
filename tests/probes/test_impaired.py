"""The cheap way to ask when flows were last impaired says what reading every record would say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import layout
from probes.flows import FORWARDING_DELAY_THRESHOLD_NS
from probes.impaired import ImpairmentScan
from probes.packets import plan_flows

MS = 1_000_000
STEP = 100 * MS
FLOWS = plan_flows("c", "10.0.0.1", "echo", "10.0.0.2", 7, 3, STEP)
START = 5_000 * MS
PROBES = 60
GOOD = layout.WRITTEN | layout.ANSWERED

kinds = st.sampled_from(["good", "good", "good", "lost", "corrupt", "unsent", "late", "overwritten"])


def records(became: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    rings = np.zeros((len(FLOWS), 128), layout.RECORD)
    status = np.zeros(len(FLOWS), layout.FLOW_STATUS)
    for i, kinds_of in enumerate(became):
        status[i]["next_seq"] = len(kinds_of)
        for seq, kind in enumerate(kinds_of):
            record = rings[i, seq]
            record["seq"] = seq if kind != "overwritten" else 1000
            record["sent_ns"] = START + FLOWS[i].phase_ns + seq * STEP
            record["rx_ns"] = record["sent_ns"] + (2 * FORWARDING_DELAY_THRESHOLD_NS if kind == "late" else MS)
            flags = {
                "lost": layout.WRITTEN,
                "corrupt": GOOD | layout.CORRUPT,
                "unsent": layout.WRITTEN | layout.NOT_SENT,
            }
            record["flags"] = flags.get(kind, GOOD)
    return rings, status


def plainly(became: list[list[str]], since: int, until: int) -> list[int]:
    found = []
    for i, kinds_of in enumerate(became):
        dues = [(START + FLOWS[i].phase_ns + seq * STEP, kind) for seq, kind in enumerate(kinds_of)]
        found.append(max((due for due, kind in dues if since <= due < until and kind != "good"), default=-1))
    return found


@given(
    st.lists(st.lists(kinds, min_size=PROBES, max_size=PROBES), min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(0, PROBES * 100), st.integers(0, PROBES * 100)), min_size=1, max_size=6),
)
def test_it_says_what_reading_everything_would_say(became: list[list[str]], asked: list[tuple[int, int]]) -> None:
    rings, status = records(became)
    scan = ImpairmentScan(FLOWS, START, status, rings)
    for since_ms, until_ms in sorted(asked, key=lambda a: a[1]):
        since, until = START + since_ms * MS, START + until_ms * MS
        last, _ = scan.seen(since, until)
        assert list(last) == plainly(became, since, until)


def test_an_answer_that_came_late_but_in_time_makes_its_probe_a_good_one() -> None:
    rings, status = records([["good"] * 9 + ["lost"] + ["good"] * 30] * 3)
    scan = ImpairmentScan(FLOWS, START, status, rings)
    assert np.all(scan.seen(START, START + 12 * STEP)[0] > 0)
    rings["flags"][:, 9] = GOOD
    rings["rx_ns"][:, 9] = rings["sent_ns"][:, 9] + 1900 * MS
    assert np.all(scan.seen(START, START + 20 * STEP)[0] == -1)


def test_a_flow_without_a_probe_in_the_window_is_told() -> None:
    rings, status = records([["good"] * PROBES] * 3)
    _, probes = ImpairmentScan(FLOWS, START, status, rings).seen(START, START + STEP // 2)
    assert list(probes) == [1, 1, 0]


def test_what_the_records_no_longer_hold_is_an_error() -> None:
    rings, status = records([["good"] * PROBES] * 3)
    status["next_seq"] = 1000
    with pytest.raises(LookupError):
        ImpairmentScan(FLOWS, START, status, rings).seen(START, START + 10 * STEP)
