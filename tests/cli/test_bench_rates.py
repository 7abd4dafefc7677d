"""What trials say of a rate, what a stage of the way costs, and where probes are made to die: the pure part of the bench."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.rates.figures import (
    Load,
    Trial,
    beside,
    fault,
    highest,
    per_probe_us,
    row_of_highest,
    rows_of_hops,
    rows_of_load,
    spread,
)
from cli.rates.hops import WAY, Joint, drops_at
from cli.rates.peers import Ran, best_of, installed

MS = 1_000_000
SOUND = Trial(
    load=Load(300, 10 * MS),
    seconds=2.0,
    probes=60_000,
    lost=0,
    not_sent=0,
    own_drops=0,
    late_p99_ns=1 * MS,
    probers=0.9,
    lab=0.8,
    kernel=0.1,
)


def test_a_load_tells_its_rate() -> None:
    assert Load(1000, 50 * MS).rate == 20_000
    assert str(Load(30, 1 * MS)) == "30 flows x 1000/s"


def test_a_sound_trial_has_no_fault() -> None:
    assert fault(SOUND) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"late_p99_ns": None}, "nothing was sent"),
        ({"late_p99_ns": 5 * MS}, "late"),
        ({"not_sent": 1}, "of its own"),
        ({"own_drops": 1}, "of its own"),
        ({"lost": 1}, "the lab loses"),
    ],
)
def test_each_property_that_fails_is_named(changed: dict[str, int | None], said: str) -> None:
    assert said in fault(replace(SOUND, **changed))  # type: ignore[arg-type]


def test_rows_of_a_load_hold_it_against_half_its_interval() -> None:
    ((late, own, lost),) = rows_of_load([SOUND])
    assert (late.ours, late.target, late.met) == (1.0, 5.0, True)
    assert own.met
    assert lost.met
    ((late, own, lost),) = rows_of_load([replace(SOUND, late_p99_ns=6 * MS, own_drops=2, lost=3)])
    assert (late.met, own.met, lost.met) == (False, False, False)
    assert (own.ours, lost.ours) == (2, 3)


@given(st.integers(0, 10), st.integers(0, 3))
def test_the_highest_rate_is_the_last_before_the_first_that_fails(limit: int, again: int) -> None:
    tried: list[int] = []

    def try_out(rate: int) -> str:
        tried.append(rate)
        return "" if rate <= limit else "too much"

    assert highest(range(1, 9), try_out, again) == (min(limit, 8), "" if limit >= 8 else "too much")
    assert tried.count(limit + 1) == (again + 1 if limit < 8 else 0)


def test_what_fails_once_and_not_again_is_no_limit() -> None:
    said = iter(["", "a busy moment", "", ""])
    assert highest([1, 2, 3], lambda _: next(said)) == (3, "")


def test_the_row_of_the_highest_rate_is_met_by_its_worst_round_and_says_the_limit_of_the_median() -> None:
    one = row_of_highest([(40, "late"), (30, "lost"), (50, "")], 50, 30)
    assert (one.ours, one.worst, one.met, one.rounds) == (40, 30, True, 3)
    assert "(limit: late)" in one.what
    assert not row_of_highest([(40, "late"), (20, "lost")], 50, 30).met
    assert "none found up to 50" in row_of_highest([(50, "")], 50, 30).what


def test_a_probe_costs_what_the_lab_takes_beyond_its_idling() -> None:
    assert per_probe_us(SOUND, idle=0.3) == pytest.approx((0.9 - 0.3) * 2 / 60_000 * 1e6)


def test_a_stage_costs_what_it_adds() -> None:
    rows = rows_of_hops(
        [[("first", 4.0), ("second", 7.0)], [("first", 5.0), ("second", 6.0)], [("first", 6.0), ("second", 8.0)]]
    )
    assert [(r.what, r.ours, r.worst) for r in rows] == [
        ("CPU of a probe: first", 5.0, 6.0),
        ("CPU of a probe: second", 2.0, 3.0),
    ]


@given(st.integers(0, 2000), st.integers(1, 7))
def test_a_load_is_spread_evenly(total: int, parts: int) -> None:
    found = spread(total, parts)
    assert sum(found) == total
    assert max(found) - min(found) <= 1


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    assert beside("rate", [30.0], [10.0], "p", "1/s", more=True).ratio == 3
    assert beside("cost", [5.0], [10.0], "p", "µs", more=False).ratio == 2
    absent = beside("rate", [30.0], [], "p", "1/s", more=True)
    assert (absent.ours, absent.peer, absent.ratio, absent.peer_name) == (30, None, None, "p")


def test_only_probes_of_the_bench_die_and_only_where_the_stage_ends() -> None:
    joints = [
        Joint("us-transit", "eth5", "transit", "client"),
        Joint("us-transit", "eth3", "transit", "edge"),
        Joint("us-edge-1", "eth2", "edge", "l4"),
        Joint("us-client", "eth1", "client", "transit"),
    ]
    first, _, tunnel, *_, last = (drops_at(s, joints, {"us": "10.1.9.1"}, "203.0.113.20", 7) for s in WAY)
    assert [(d.node, d.interface) for d in first] == [("us-transit", "eth5")]
    assert first[0].matches == ("ip saddr 10.1.9.1 ip daddr 203.0.113.20 udp dport 7",)
    assert [(d.node, d.interface) for d in tunnel] == [("us-edge-1", "eth2")]
    assert tunnel[0].matches == ("ip protocol 4 @nh,288,32 0xcb007114 @nh,256,32 0x0a010901",)
    assert [(d.node, d.interface) for d in last] == [("us-client", "eth1")]
    assert last[0].matches == ("ip saddr 203.0.113.20 ip daddr 10.1.9.1 udp sport 7",)


def played(told: dict[int, Ran]) -> tuple[Ran | None, list[int]]:
    asked: list[int] = []

    def run(rate: int) -> Ran:
        asked.append(rate)
        return told[rate]

    return best_of(sorted(told), run), asked


def test_a_peer_is_taken_at_the_rate_it_really_had_and_not_driven_further_once_it_is_slow() -> None:
    slow = Ran(2000, 2000, 2.0, 0.1)
    assert slow.rate == 1000
    assert played({500: Ran(500, 500, 1.0, 0.1), 2000: slow, 4000: Ran(4000, 4000, 1.0, 0.1)}) == (slow, [500, 2000])


def test_a_peer_that_loses_twice_is_taken_at_the_rate_before() -> None:
    sound, lossy = Ran(500, 500, 1.0, 0.1), Ran(1000, 999, 1.0, 0.1)
    assert played({500: sound, 1000: lossy, 2000: sound}) == (sound, [500, 1000, 1000])
    assert played({500: lossy}) == (None, [500, 500])
    assert played({500: Ran(0, 0, 0.0, 0.0)})[0] is None


def test_scapy_is_always_there_and_what_is_not_installed_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", sys.prefix)
    assert installed("scapy")
    assert not installed("fping")
