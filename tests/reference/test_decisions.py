"""What must hold of the agent's decisions: health, announcements, drains, configuration. No kernel, no clock."""

from __future__ import annotations

import copy
import errno
import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from l4.announce import SETTLE_NS, Announcement, Drain, Mode, Serving, changes, decide, serving, settling
from l4.bgp import commands
from l4.config import ConfigError, L4Config, Timing, parse_config
from l4.counters import COUNTERS
from l4.health import Health, Result, failure, http_result

from tests.reference.conftest import L4_JSON, ROOT

TIMING = Timing(interval_s=0.1, timeout_s=0.2, fall=3, rise=2)
WEB, ECHO = IPv4Address("203.0.113.10"), IPv4Address("203.0.113.20")
WEB6, ECHO6 = IPv6Address("2001:db8:f::10"), IPv6Address("2001:db8:f::20")
BOTH = frozenset({"eu-l7-1", "eu-l7-2"})


RESULTS = {"+": Result.WELL, "d": Result.DRAINING, "-": Result.SILENT, "w": Result.WRONG, "x": Result.REFUSED}


def after(results: str, timing: Timing = TIMING) -> Health:
    health = Health()
    for result in results:
        health = health.after(RESULTS[result], timing)
    return health


@pytest.mark.parametrize(
    ("results", "up"),
    [
        ("", None),
        ("+", None),
        ("+-+", None),
        ("--", None),
        ("++", True),
        ("-++", True),
        ("---", False),
        ("++--", True),
        ("++--+--", True),
        ("++---", False),
        ("---+", False),
        ("---+-+", False),
        ("---++", True),
        ("xxxx", False),
        ("xx", None),
        ("++x", True),
        ("++xx", False),
        ("++x+x", True),
        ("++x-x", False),
        ("++ww", True),
        ("++www", False),
        ("++xx+", False),
        ("dd", True),
    ],
)
def test_health_falls_and_rises_only_after_results_in_a_row(results: str, up: bool | None) -> None:
    assert after(results).up is up


@given(st.text("+-", max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_health_never_changes_on_fewer_results_than_asked_for(results: str, fall: int, rise: int) -> None:
    timing = Timing(0.1, 0.2, fall, rise)
    health = Health()
    for at, result in enumerate(results):
        before, health = health, health.after(RESULTS[result], timing)
        if health.up != before.up:
            needed = rise if health.up else fall
            assert set(results[max(0, at + 1 - needed) : at + 1]) == {"+" if health.up else "-"}
            assert at + 1 >= needed


def test_draining_is_believed_at_once_and_taken_back_at_once() -> None:
    assert [after(results).draining for results in ("++", "++d", "++d-", "++d--+", "++d---", "++dxx")] == [
        False, True, True, False, False, False,
    ]  # fmt: skip
    assert after("++d").up


@pytest.mark.parametrize(
    ("head", "result"),
    [
        (b"HTTP/1.1 200 OK", Result.WELL),
        (b"HTTP/1.0 301 Moved", Result.WELL),
        (b"HTTP/1.1 503 no", Result.WRONG),
        (b"HTTP/1.1 503 no\r\nX-Envoy-Immediate-Health-Check-Fail: true", Result.DRAINING),
        (b"HTTP/1.1 404 no", Result.WRONG),
        (b"SSH-2.0-x y", Result.WRONG),
        (b"", Result.WRONG),
    ],
)
def test_an_answer_says_whether_its_backend_serves(head: bytes, result: Result) -> None:
    assert http_result(head) is result


@pytest.mark.parametrize(
    ("number", "result"),
    [
        (errno.ECONNREFUSED, Result.REFUSED),
        (errno.EHOSTUNREACH, Result.SILENT),
        (errno.ENETUNREACH, Result.SILENT),
        (errno.ECONNRESET, Result.SILENT),
        (errno.EADDRNOTAVAIL, Result.SILENT),
    ],
)
def test_only_what_the_backend_itself_says_is_definite(number: int, result: Result) -> None:
    assert failure(OSError(number, "")) is result


def test_nothing_is_decided_while_one_backend_is_undecided(config: L4Config) -> None:
    health = {(s.name, b.name): True for s in config.services for b in config.backends}
    assert serving(config, health) == Serving({"web": BOTH, "echo": BOTH}, {"web": BOTH, "echo": BOTH})
    assert serving(config, {**health, ("web", "eu-l7-2"): None}) is None
    found = serving(config, {**health, ("web", "eu-l7-2"): False})
    assert found is not None
    assert found.ring == found.pinned == {"web": {"eu-l7-1"}, "echo": BOTH}


def test_a_drained_backend_keeps_its_flows_and_gets_no_new_ones_unless_nobody_else_is_left(config: L4Config) -> None:
    health: dict[tuple[str, str], bool | None] = {
        (s.name, b.name): True for s in config.services for b in config.backends
    }
    found = serving(config, health, {"eu-l7-1"})
    assert found == Serving({"web": {"eu-l7-2"}, "echo": {"eu-l7-2"}}, {"web": BOTH, "echo": BOTH})
    assert serving(config, health, BOTH) == serving(config, health)
    left = serving(config, {**health, ("echo", "eu-l7-2"): False}, {"eu-l7-1"})
    assert left is not None
    assert left.ring == {"web": {"eu-l7-2"}, "echo": {"eu-l7-1"}}


def test_a_vip_is_announced_only_while_it_can_be_served(config: L4Config) -> None:
    nobody: frozenset[str] = frozenset()
    normal, none = Announcement.NORMAL, Announcement.NONE
    assert decide(config, Mode.NORMAL, True, {"web": BOTH, "echo": BOTH}) == {
        WEB: normal,
        WEB6: normal,
        ECHO: normal,
        ECHO6: normal,
    }
    assert decide(config, Mode.NORMAL, True, {"web": nobody, "echo": BOTH}) == {
        WEB: none,
        WEB6: none,
        ECHO: normal,
        ECHO6: normal,
    }
    assert decide(config, Mode.NORMAL, False, {"web": BOTH, "echo": BOTH}) == dict.fromkeys(
        (WEB, WEB6, ECHO, ECHO6), none
    )


def test_a_drain_de_prefers_and_a_withdrawal_takes_away(config: L4Config) -> None:
    able = {"web": BOTH, "echo": BOTH}
    assert set(decide(config, Mode.DRAINING, True, able).values()) == {Announcement.DRAIN}
    assert set(decide(config, Mode.WITHDRAWN, True, able).values()) == {Announcement.NONE}


def test_bgpd_is_told_only_what_it_does_not_know() -> None:
    wanted = {WEB: Announcement.NORMAL, ECHO: Announcement.NONE}
    assert changes(wanted, {}) == list(wanted.items())
    assert changes(wanted, {WEB: Announcement.NORMAL}) == [(ECHO, Announcement.NONE)]
    assert changes(wanted, wanted) == []
    assert commands(WEB, Announcement.DRAIN)[1] == "network 203.0.113.10/32 route-map VIP-DRAIN"
    assert commands(WEB, Announcement.NONE)[:2] == ["address-family ipv4 unicast", "no network 203.0.113.10/32"]
    six = commands(WEB6, Announcement.NORMAL)
    assert six[:2] == ["address-family ipv6 unicast", "network 2001:db8:f::10/128 route-map VIP-NORMAL"]


SECOND = 1_000_000_000


def test_a_drain_ends_one_quiet_second_after_the_last_packet() -> None:
    drain = Drain(start_ns=10 * SECOND)
    assert not drain.quiet(int(10.9 * SECOND), last_packet_ns=0)
    assert drain.quiet(11 * SECOND, last_packet_ns=0)
    assert not drain.quiet(11 * SECOND, last_packet_ns=int(10.5 * SECOND))
    assert drain.next_look_ns(int(10.5 * SECOND)) == int(11.5 * SECOND)


def test_a_drain_with_endless_traffic_ends_at_its_deadline() -> None:
    drain = Drain(start_ns=10 * SECOND)
    assert not drain.overdue(14 * SECOND - 1)
    assert drain.overdue(14 * SECOND)
    assert drain.next_look_ns(int(13.9 * SECOND)) == 14 * SECOND


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("services", [], "services is empty"),
        ("backends", [{"name": "x"}], "'address' is missing"),
        ("loopback", "10.2.3.256", "10.2.3.256"),
        ("check", None, "wrong kind"),
    ],
)
def test_a_wrong_configuration_names_its_field(field: str, value: object, says: str) -> None:
    raw = copy.deepcopy(L4_JSON)
    raw[field] = value  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=says):
        parse_config(raw)


def test_every_counter_of_the_program_has_a_sentence_in_the_same_order() -> None:
    source = (ROOT / "probes/reference/l4/maps.h").read_text()
    found = re.search(r"enum counter \{(.*?)COUNTERS,", source, re.DOTALL)
    assert found is not None
    assert [name.strip().lower() for name in found[1].split(",") if name.strip()] == list(COUNTERS)
    assert all(sentence.endswith(".") for sentence in COUNTERS.values())


@given(
    done=st.sampled_from([{}, {"a": Announcement.NONE}, {"a": Announcement.NONE, "b": Announcement.NORMAL}]),
    wanted=st.sampled_from(list(Announcement)),
    whole=st.booleans(),
    unchanged=st.integers(0, 2 * SETTLE_NS),
)
def test_only_a_node_that_begins_with_some_of_its_backends_waits_and_not_for_long(
    done: dict[str, Announcement], wanted: Announcement, whole: bool, unchanged: int
) -> None:
    waits = settling(done, {"a": wanted}, whole, unchanged)  # type: ignore[arg-type,dict-item]
    if Announcement.NORMAL in done.values() or wanted is Announcement.NONE or whole or unchanged >= SETTLE_NS:
        assert not waits, "what announces goes on, a withdrawal is at once, and a dead backend keeps nobody waiting"
    else:
        assert waits
