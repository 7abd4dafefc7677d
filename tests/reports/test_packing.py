"""What is packed comes back as it was: columns of integers, histograms, stamps near an episode; and it stays small."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.evidence.histogram import (
    Histogram,
    bounds_ns,
    bucket_of,
    histogram,
    merged,
    pack_histogram,
    unpack_histogram,
)
from reports.evidence.near import Run, pack_near, unpack_near
from reports.evidence.schema import (
    LOST,
    NOT_A_BACKEND,
    AnswerTimes,
    Episode,
    Flow,
    Flows,
    Near,
    Packet,
    pack_i64,
    pack_u8,
    record,
    unpack_i64,
)

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy host is slow, not wrong
int64 = st.integers(-(2**63), 2**63 - 1)
times = st.integers(0, 2**62)
SECOND = 1_000_000_000
STEP = 10_000_000


# -- columns -------------------------------------------------------------------------------------------------------


@patient
@given(st.lists(int64, max_size=300))
def test_a_column_of_any_integers_comes_back(values: list[int]) -> None:
    assert unpack_i64(pack_i64(values)).tolist() == values


def test_a_steady_clock_costs_next_to_nothing() -> None:
    assert len(pack_i64(10**18 + STEP * np.arange(100_000))) < 2_500


def test_noise_costs_its_own_bits_and_little_more() -> None:
    noise = np.random.default_rng(7).integers(0, 1000, 100_000)
    assert len(pack_i64(noise)) < 1.45 * 100_000 * math.log2(1000) / 8 * 4 / 3


@pytest.mark.parametrize(
    "text", ["", "not base64!", "AAAA", pack_u8(b""), pack_u8(b"\x00" * 5), pack_u8(b"\x07" + b"\x00" * 8)]
)
def test_what_is_no_column_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a packed block"):
        unpack_i64(text)


# -- histograms ----------------------------------------------------------------------------------------------------


@patient
@given(st.lists(times, min_size=1, max_size=50))
def test_every_value_lies_in_its_bucket_which_is_narrower_than_a_hundredth_of_it(values: list[int]) -> None:
    for value, bucket in zip(values, bucket_of(values).tolist(), strict=True):
        low, high = bounds_ns(bucket)
        assert low <= value < high
        assert high - low <= max(1, low / 100)
        assert bounds_ns(bucket + 1)[0] == high


@pytest.mark.parametrize("value", [*range(600), *(2**n + d for n in range(9, 63) for d in (-1, 0, 1))])
def test_buckets_ascend_across_every_power_of_two(value: int) -> None:
    low, high = bounds_ns(int(bucket_of([value])[0]))
    assert low <= value < high


@patient
@given(parts=st.lists(st.lists(times, max_size=40), max_size=4), share=st.floats(0.001, 1))
def test_merged_parts_are_the_histogram_of_all_and_their_quantiles_are_within_a_hundredth(
    parts: list[list[int]], share: float
) -> None:
    every = sorted(value for part in parts for value in part)
    whole = merged(histogram(part) for part in parts)
    assert whole == histogram(every)
    assert whole.n == len(every)
    assert unpack_histogram(pack_histogram(whole)) == whole
    told = whole.quantile_ns(share)
    if every:
        exact = every[max(1, math.ceil(share * len(every))) - 1]
        assert told is not None
        assert abs(told - exact) <= exact / 100
    else:
        assert told is None


def test_a_million_alike_answers_take_a_few_hundred_bytes() -> None:
    took = np.random.default_rng(7).normal(400_000, 40_000, 1_000_000).astype(np.int64)
    assert len(pack_histogram(histogram(took))) < 600


def test_no_answer_takes_negative_time() -> None:
    with pytest.raises(ValueError, match="-1 ns"):
        bucket_of([5, -1])


@pytest.mark.parametrize("values", [[1], [5, 0, 1, 1], [5, -1, 1, 1], [-1, 1], [1, 0]])
def test_what_is_no_histogram_is_refused(values: list[int]) -> None:
    with pytest.raises(ValueError, match="not a packed histogram"):
        unpack_histogram(pack_i64(values))


def test_nothing_is_a_histogram_too() -> None:
    assert unpack_histogram(pack_histogram(Histogram())) == Histogram()


# -- stamps near an episode ----------------------------------------------------------------------------------------


def block(counts: list[int], near: Near | None) -> Flows:
    """A block of quiet flows of so many probes, with these stamps."""
    total = sum(counts)
    return Flows(
        vantage="us",
        service="echo",
        interval_ns=STEP,
        t0_ns=0,
        t1_ns=SECOND,
        event_ns=0,
        backends=("a", "b"),
        flows=tuple(
            Flow(id=n, src="c", sport=1, dst="d", dport=7, touched=True, first_due_ns=SECOND + n, count=count)
            for n, count in enumerate(counts)
        ),
        state=pack_u8(bytes(i % 3 for i in range(total))),
        backend=pack_u8(bytes(i % 2 for i in range(total))),
        near=near,
    )


@st.composite
def runs_of_a_block(draw: st.DrawFn) -> tuple[list[int], list[Run]]:
    counts = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    runs = []
    for n, count in enumerate(counts):
        edges = sorted(draw(st.sets(st.integers(0, count), max_size=4)))
        for first, after in zip(edges[::2], edges[1::2], strict=False):
            size = after - first
            due = SECOND + n + STEP * np.arange(first, after, dtype=np.int64)
            waits = st.one_of(st.none(), st.integers(-900_000, 3 * SECOND))
            late, took = (draw(st.lists(waits, min_size=size, max_size=size)) for _ in range(2))
            tx = np.array([0 if w is None else d + w for d, w in zip(due, late, strict=True)], np.int64)
            rx = np.array([0 if w is None else d + w for d, w in zip(due, took, strict=True)], np.int64)
            ttl = np.array(draw(st.lists(st.integers(0, 255), min_size=size, max_size=size)), np.uint8)
            runs.append(Run(n, first, due, tx, rx, ttl))
    return counts, runs


@patient
@given(made=runs_of_a_block(), unit=st.sampled_from([1, 1_000]))
def test_stamps_come_back_within_half_their_unit(made: tuple[list[int], list[Run]], unit: int) -> None:
    counts, runs = made
    given_block = block(counts, pack_near(runs, SECOND, unit))
    found = list(unpack_near(given_block))
    assert len(found) == len(runs)
    starts = [0, *np.cumsum(counts).tolist()]
    for got, was in zip(found, runs, strict=True):
        assert (got.run.flow, got.run.first) == (was.flow, was.first)
        assert got.run.due.tolist() == was.due.tolist()
        assert got.run.ttl.tolist() == was.ttl.tolist()
        for told, true in ((got.run.tx, was.tx), (got.run.rx, was.rx)):
            assert (told == 0).tolist() == (true == 0).tolist()
            assert 2 * np.abs(told - true).max(initial=0) <= unit
        at = starts[was.flow] + was.first
        assert list(got.state) == [i % 3 for i in range(at, at + len(was.due))]
        assert list(got.backend) == [i % 2 for i in range(at, at + len(was.due))]


def test_a_block_without_an_episode_has_no_stamps() -> None:
    assert pack_near([], SECOND) is None
    assert list(unpack_near(block([3], None))) == []


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([0, 0, 4], "does not have"),
        ([1, 0, 3], "does not have"),
        ([0, -1, 3], "does not have"),
        ([0, 0, 2], "fit each other"),
    ],
)
def test_stamps_of_probes_that_are_not_there_are_refused(runs: list[int], said: str) -> None:
    size = 4 if runs[2] == 4 else 3
    near = Near(
        within_ns=1,
        unit_ns=1,
        runs=pack_i64(runs),
        tx=pack_i64([0] * size),
        rx=pack_i64([0] * size),
        ttl=pack_u8(bytes(size)),
    )
    with pytest.raises(ValueError, match=said):
        list(unpack_near(block([3], near)))


def test_24_million_probes_and_their_episodes_fit_in_a_few_megabytes() -> None:
    """3,000 flows of 8,000 probes each, of which 600 were cut for 300 ms: every probe's state and backend, all stamps within a second
    of the cut, the rows to be shown of each, and how long answers took. A block at a time, as a run writes them."""
    dice = np.random.default_rng(7)
    flows, count, cut, lost = 50, 8_000, 4_000, 30
    around = slice(cut - 100, cut + lost + 100)
    size = probes = 0
    encoder = msgspec.json.Encoder()
    for number in range(60):
        state = np.zeros((flows, count), np.uint8)
        touched = range(flows) if number % 5 == 0 else range(0)
        state[: len(touched), cut : cut + lost] = LOST
        backend = np.repeat(np.arange(flows, dtype=np.uint8) % 2, count).reshape(flows, count)
        backend[state == LOST] = NOT_A_BACKEND
        due = STEP * np.arange(count, dtype=np.int64)[around]
        runs = []
        for n in touched:
            tx = due + dice.exponential(60_000, len(due)).astype(np.int64)
            rx = np.where(state[n, around] == LOST, 0, tx + dice.normal(400_000, 60_000, len(due)).astype(np.int64))
            runs.append(Run(n, around.start, due, tx, rx, np.where(rx > 0, 60, 0).astype(np.uint8)))
        took = histogram(dice.normal(400_000, 60_000, 10_000).astype(np.int64))
        answers = Histogram(took.buckets, tuple(n * flows * count // 10_000 for n in took.counts))
        one = Flows(
            vantage="us",
            service="echo",
            interval_ns=STEP,
            t0_ns=0,
            t1_ns=count * STEP,
            event_ns=cut * STEP,
            backends=("us-l7-1", "us-l7-2"),
            flows=tuple(
                Flow(
                    id=number * flows + n,
                    src="10.0.2.7",
                    sport=20_000 + n,
                    dst="203.0.113.20",
                    dport=7,
                    touched=n in touched,
                    first_due_ns=10**15 + n,
                    count=count,
                    judged_from_ns=10**15,
                    way_before=0,
                    way_after=1,
                )
                for n in range(flows)
            ),
            state=pack_u8(state.tobytes()),
            backend=pack_u8(backend.tobytes()),
            near=pack_near(runs, SECOND),
            answers=tuple(
                AnswerTimes(phase=phase, histogram=pack_histogram(answers))
                for phase in ("control", "fault", "recovery")
            ),
        )
        assert sum(len(run.run.due) for run in unpack_near(one)) == 230 * len(touched)
        size += len(encoder.encode(record(one, t_ns=1, scenario="kill-l4")))
        for run in runs:
            episode = Episode(
                vantage="us",
                service="echo",
                flow=number * flows + run.flow,
                start_ns=int(run.due[100]),
                end_ns=int(run.due[100 + lost]),
                lost=lost,
                black_hole_ns=lost * STEP,
                censored=False,
                touched=True,
                packets=tuple(_packet(run, i) for i in (*range(96, 104), *range(96 + lost, 104 + lost))),
            )
            size += len(encoder.encode(record(episode, t_ns=episode.start_ns, acc_ns=STEP, scenario="kill-l4")))
        probes += flows * count
    assert probes == 24_000_000
    assert size < 3_000_000


def _packet(run: Run, i: int) -> Packet:
    rx = int(run.rx[i])
    return Packet(
        seq=i,
        due_ns=int(run.due[i]),
        state=0 if rx else LOST,
        tx_ns=int(run.tx[i]),
        rx_ns=rx or None,
        backend="us-l7-1" if rx else None,
        ttl=60 if rx else None,
    )
