"""What an impairment says is what it is, and a host does it by the best means it has, or says which option it lacks."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.impairment import LONGEST_NS, Impairment, rate_of, share_of, time_of
from topologies.linux.impair.means import Features, Means, choose, netem, tbf
from topologies.runtime import RuntimeFailure

MS = 1_000_000
shares = st.floats(0, 1)


@st.composite
def impairments(draw: st.DrawFn) -> Impairment:
    delay = draw(st.integers(0, LONGEST_NS))
    return Impairment(
        delay,
        draw(st.integers(0, delay)),
        draw(shares),
        draw(shares),
        draw(shares),
        draw(shares) if delay else 0.0,
        draw(st.integers(0, 10**11)),
    )


hosts = st.builds(Features, netem=st.booleans(), tbf=st.booleans(), tun=st.booleans())


@pytest.mark.parametrize(
    ("text", "ns"), [("20ms", 20 * MS), ("1.5s", 1_500 * MS), ("300us", 300_000), ("7 ns", 7), (" 0ms ", 0)]
)
def test_times_have_units(text: str, ns: int) -> None:
    assert time_of(text) == ns


@pytest.mark.parametrize("text", ["20", "ms", "-1ms", "1m", "1e3ms", "٣ms ", ""])
def test_what_is_no_time_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time with its unit"):
        time_of(text)


@pytest.mark.parametrize("text", ["1", "101%", "-1%", "0.5", "%"])
def test_what_is_no_share_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="expected a share of the frames"):
        share_of(text)


@pytest.mark.parametrize("text", ["10", "0mbit", "10mb", "10 potatoes"])
def test_what_is_no_rate_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        rate_of(text)


@given(st.integers(0, 10**6).map(lambda n: Fraction(n, 10**4)))
def test_a_share_is_a_hundredth_of_its_percent(percent: Fraction) -> None:
    assert share_of(f"{float(percent):.4f}%") == pytest.approx(float(percent) / 100)


@pytest.mark.parametrize(
    ("text", "bits"), [("10mbit", 10**7), ("500kbit", 500_000), ("1Gbit/s", 10**9), ("2.5mbps", None)]
)
def test_rates_are_powers_of_a_thousand(text: str, bits: int | None) -> None:
    if bits is None:  # bytes per second to tc(8), bits to others: neither guess would be right
        with pytest.raises(ValueError, match="expected a rate"):
            rate_of(text)
    else:
        assert rate_of(text) == bits


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"loss": 1.5}, "loss 1.5: expected a probability"),
        ({"jitter_ns": 5}, "expected no more jitter than delay"),
        ({"delay_ns": LONGEST_NS + 1}, "expected at most 60 s"),
        ({"reordering": 0.1}, "reordering without a delay"),
    ],
)
def test_what_no_link_can_do_is_refused(asked: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Impairment(**asked)  # type: ignore[arg-type]


def test_it_is_told_as_people_say_it() -> None:
    how = Impairment(20 * MS, 2 * MS, loss=0.01, rate=10_000_000)
    assert str(how) == "delay 20 ms ± 2 ms, loss 1 %, rate 10 Mbit/s"
    assert str(Impairment()) == "nothing"


@given(impairments(), hosts, st.booleans(), st.booleans())
def test_every_means_sees_every_frame_and_does_all_that_was_asked(
    wanted: Impairment, host: Features, sender_xdp: bool, receiver_xdp: bool
) -> None:
    try:
        means = choose(wanted, host, sender_xdp=sender_xdp, receiver_xdp=receiver_xdp)
    except RuntimeFailure as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert ("CONFIG_" in refused) != (sender_xdp and receiver_xdp)
        return
    assert not (sender_xdp and receiver_xdp)
    # what XDP sends passes no queue and no egress hook, what it takes no ingress hook
    assert not (sender_xdp and (means.qdisc or (means.sending and means.program)))
    assert not (receiver_xdp and means.program and not means.sending)
    assert host.tun or not means.wire
    if means.qdisc[:1] == ("netem",):
        assert host.netem
        assert not means.program
        return
    assert not means.qdisc or (host.tbf and wanted.rate)
    lots = wanted.loss or wanted.corruption or wanted.duplication
    assert means.program == bool(lots or means.wire)
    assert means.wire or not wanted.delay_ns
    assert bool(means.qdisc) + bool(means.wire_rate) == bool(wanted.rate)
    # a frame of the sender's own gets a checksum that fits, if its bits are flipped before it has one
    assert not wanted.corruption or not means.sending or means.wire


@pytest.mark.parametrize(
    ("wanted", "option"),
    [
        (Impairment(delay_ns=MS), "CONFIG_NET_SCH_NETEM nor CONFIG_TUN"),
        (Impairment(rate=1_000_000), "CONFIG_NET_SCH_TBF nor CONFIG_TUN"),
    ],
)
def test_a_host_without_the_means_is_told_the_option(wanted: Impairment, option: str) -> None:
    with pytest.raises(RuntimeFailure, match=option):
        choose(wanted, Features(netem=False, tbf=False, tun=False), sender_xdp=False, receiver_xdp=False)


def test_netem_is_preferred_and_told_everything() -> None:
    wanted = Impairment(20 * MS, 1_500_000, 0.01, 0.002, 0.03, 0.25, 10_000_000)
    means = choose(wanted, Features(netem=True, tbf=True, tun=True), sender_xdp=False, receiver_xdp=True)
    words = "delay 20000us 1500us loss 1% corrupt 0.2% duplicate 3% reorder 25% rate 10000000bit"
    assert means == Means(sending=True, qdisc=("netem", "limit", "100000", *words.split()))
    assert netem(wanted) == means.qdisc


def test_a_small_rate_still_lets_the_largest_frame_through() -> None:
    words = dict(zip(tbf(8_000)[1::2], tbf(8_000)[2::2], strict=True))
    assert int(words["burst"]) >= 9_500 + 14
    assert int(words["limit"]) > int(words["burst"])
