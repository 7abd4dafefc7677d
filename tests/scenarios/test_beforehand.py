"""What will be judged is told as it is: by kind of service, by what answered, and with the reason for what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.answering import Answering, Asked, everything, not_to_ask
from scenarios.beforehand import Beforehand, beforehand
from topologies.contract import Contract
from topologies.services import Service

V4, V6 = "203.0.113.10", "2001:db8:f::10"
WEB = Service("web", (V4, V6), 80, "http", "web.test", "/", "x-lb", ("1.1", "2"))
NAMELESS = Service("bare", (V4,), 81, "http", "web.test", "/", None, ("1.1",), stream="/stream")
TLS = Service("tls", (V4,), 443, "https", "web.test", "/", "x-lb", ("1.1",))
ECHO = Service("echo", (V4, V6), 7, "udp")
PORT = Service("port", (V4,), 5432, "tcp")
REDIS = Service("redis", (V4,), 6379, "tcp", send=b"PING\r\n", expect=b"+PONG")
MAIL = Service("mail", (V4, V6), 25, "tcp", expect=b"220 ")
ALL = (WEB, NAMELESS, TLS, ECHO, PORT, REDIS, MAIL)
VANTAGES = ("eu", "us")


def contract_of(*services: Service) -> Contract:
    return Contract(1, Path("lab.contract.yml"), (), {s.name: s for s in services}, {}, None, {}, {}, None)


def told(service: Service, found: Answering | None = None) -> Beforehand:
    (one,) = beforehand(contract_of(service), found or Answering(VANTAGES))
    return one


def everywhere(service: Service, what: object) -> dict[Asked, object]:
    return dict.fromkeys(everything(VANTAGES, contract_of(service)), what)


@pytest.mark.parametrize(
    ("service", "judged", "without"),
    [
        (ECHO, "UDP probes, 50 flows from each vantage", ""),
        (WEB, "new requests and connections by HTTP/1.1 and 2 (busy and idle)", "streams: the contract names no"),
        (NAMELESS, "(busy, idle and streaming)", ""),
        (TLS, "new requests and connections by HTTP/1.1", "Locust's load: it goes to services with protocol http only"),
        (
            PORT,
            "SYNs: whether connections are accepted",
            "a tcp service without send/expect, so only that connections are accepted",
        ),
        (REDIS, "SYNs", "1,400-byte packets: nothing is said to it but what the contract says"),
        (REDIS, r"whether connections are accepted; new requests: whether it answers b'PING\r\n' with b'+PONG'", ""),
        (MAIL, "SYNs: whether connections are accepted; new requests: whether it says b'220 '", ""),
    ],
    ids=lambda given: given.name if isinstance(given, Service) else "",
)
def test_a_service_is_judged_by_the_instruments_of_its_kind(service: Service, judged: str, without: str) -> None:
    found = told(service)
    assert judged in "; ".join(found.judged)
    assert without in "; ".join(found.not_judged)
    assert ("pings to 203.0.113.10" in str(found)) == (service is not ECHO)


def test_an_address_that_answers_no_ping_is_told_and_the_other_is_pinged() -> None:
    found = told(WEB, Answering(VANTAGES, no_ping=frozenset({("eu", V4), ("us", V4)})))
    assert f"pings to {V6}" in found.judged
    assert any(one.startswith(f"pings to {V4}: none is answered") for one in found.not_judged)


def test_one_that_answers_no_ping_to_one_vantage_is_told_with_it() -> None:
    found = told(TLS, Answering(VANTAGES, no_ping=frozenset({("eu", V4)})))
    assert f"pings to {V4} (us)" in found.judged
    assert any(one.startswith(f"pings to {V4} (eu): none") for one in found.not_judged)


def test_a_header_that_is_missing_is_named_with_those_that_are_there() -> None:
    found = told(WEB, Answering(VANTAGES, without_identity=everywhere(WEB, ("server", "x-backend"))))  # type: ignore[arg-type]
    (one,) = (one for one in found.not_judged if "identity" in one)
    assert "lack the identity header `x-lb` (they carry server, x-backend)" in one
    assert V4 in one
    assert "identity" not in str(told(WEB))


def test_a_header_that_the_contract_does_not_name_is_looked_for_by_default_and_told_either_way() -> None:
    assert any("`x-backend`, looked for by default, was there" in one for one in told(NAMELESS).judged)
    found = told(NAMELESS, Answering(VANTAGES, without_identity=everywhere(NAMELESS, ("server", "x-lb"))))  # type: ignore[arg-type]
    (one,) = (one for one in found.not_judged if "identity" in one)
    assert "“other backend”, and `own` by name" in one
    assert "looked for by default, was not there (answers carry server, x-lb)" in one


def test_a_service_that_answers_nobody_is_judged_by_nothing_and_says_why() -> None:
    silent = {one: f"{one[0]} → web {one[2]} (refused)" for one in everything(VANTAGES, contract_of(WEB))}
    found = told(WEB, Answering(VANTAGES, silent))
    assert not found.judged
    assert f"us → web {V6} (refused)" in str(found)


def test_a_family_that_answers_nobody_fails_steady_and_one_vantage_that_hears_nothing_does_not() -> None:
    both = {(v, "web", V6): "silence" for v in VANTAGES}
    assert any(
        one.startswith(V6) and "`steady` fails" in one for one in told(WEB, Answering(VANTAGES, both)).not_judged
    )
    assert Answering(VANTAGES, both).gone(contract_of(WEB)) == {("web", V6): "silence"}
    alone = Answering(VANTAGES, {("eu", "web", V6): "silence"})
    assert any(one.startswith(f"{V6} from eu") for one in told(WEB, alone).not_judged)
    assert alone.gone(contract_of(WEB)) == {}


def test_what_never_answered_and_steady_does_not_judge_was_not_there_to_be_measured() -> None:
    """A service that answers nobody, or one vantage that hears nothing; a family that is silent to all fails `steady`."""
    contract = contract_of(WEB)
    nobody = {one: f"{one[0]} → web {one[2]} (refused)" for one in everything(VANTAGES, contract)}
    assert set(Answering(VANTAGES, nobody).never_answered(contract)) == set(nobody.values())
    alone = {("eu", "web", V6): "eu → web (refused)"}
    assert Answering(VANTAGES, alone).never_answered(contract) == ("eu → web (refused)",)
    family = {(v, "web", V6): "silence" for v in VANTAGES}
    assert Answering(VANTAGES, family).never_answered(contract) == ()
    excused = Answering(VANTAGES, not_asked={("eu", "web", V6): "eu has no IPv6 address"})
    assert excused.never_answered(contract) == ()


def test_full_size_packets_that_nobody_has_an_answer_to_fail_steady_and_those_of_one_vantage_are_a_doubt() -> None:
    contract = contract_of(ECHO)
    everyone = Answering(VANTAGES, too_large={(v, "echo", V6): "silence" for v in VANTAGES})
    assert everyone.too_large_for_all(contract) == {("echo", V6): "eu: silence; us: silence"}
    assert everyone.never_answered(contract) == ()
    assert everyone.gone(contract) == {}
    (one,) = told(ECHO, everyone).not_judged
    assert one.startswith(f"1,400-byte packets to {V6}, which nobody has an answer to, so that `steady` fails")
    alone = Answering(VANTAGES, too_large={("eu", "echo", V6): "silence"})
    assert alone.too_large_for_all(contract) == {}
    assert alone.never_answered(contract) == (f"eu → echo {V6} with 1,400-byte packets (silence)",)
    (one,) = told(ECHO, alone).not_judged
    assert one == f"1,400-byte packets to {V6} from eu, where they have no answer (silence)"


def test_who_hears_nothing_at_all_tells_nothing_of_a_size_and_what_could_not_be_asked_fails_nothing() -> None:
    contract = contract_of(ECHO)
    large = {("us", "echo", V6): "silence"}
    found = Answering(VANTAGES, {("eu", "echo", V6): "refused"}, too_large=large)
    assert found.too_large_for_all(contract) == {("echo", V6): "us: silence"}
    assert found.never_answered(contract) == ("refused",)
    found = Answering(VANTAGES, too_large=large, size_unknown={("eu", "echo", V6): "ENOBUFS"})
    assert found.too_large_for_all(contract) == {}
    assert len(found.never_answered(contract)) == 2


@given(
    silent=st.sets(st.sampled_from(everything(VANTAGES, contract_of(*ALL)))),
    large=st.sets(st.sampled_from(everything(VANTAGES, contract_of(*ALL)))),
    unknown=st.sets(st.sampled_from(everything(VANTAGES, contract_of(*ALL)))),
)
def test_every_size_without_an_answer_is_judged_by_steady_or_a_doubt_and_never_both(
    silent: set[Asked], large: set[Asked], unknown: set[Asked]
) -> None:
    contract = contract_of(*ALL)
    large, unknown = large - silent, unknown - silent - large
    found = Answering(
        VANTAGES,
        dict.fromkeys(silent, "silence"),
        too_large=dict.fromkeys(large, "lost"),
        size_unknown=dict.fromkeys(unknown, "none"),
    )
    judged, doubts = found.too_large_for_all(contract), found.never_answered(contract)
    heard = {(service, vip) for one in found.answered(contract) if one not in large for service, vip in [one[1:]]}
    assert judged.keys() == {one[1:] for one in large} - heard
    sizes = [one for one in doubts if "1,400-byte" in one]
    assert len(sizes) == sum(one[1:] not in judged for one in large | unknown)
    shuffled = replace(found, too_large=dict.fromkeys(sorted(large, reverse=True), "lost"))
    assert shuffled.too_large_for_all(contract).keys() == judged.keys()
    for one in large:  # one answer more takes the blame from the address, and from no other
        better = replace(found, too_large=dict.fromkeys(large - {one}, "lost"))
        assert better.too_large_for_all(contract).keys() == judged.keys() - {one[1:]}
    assert found.gone(contract) == Answering(VANTAGES, dict.fromkeys(silent, "silence")).gone(contract)


def test_a_family_without_an_address_is_not_asked_and_told_and_one_without_any_is_asked() -> None:
    contract = contract_of(WEB, PORT)
    excused = not_to_ask({"eu": frozenset({4}), "us": frozenset({4, 6}), "lost": frozenset()}, contract)
    assert excused == {("eu", "web", V6): "eu has no IPv6 address"}
    found = Answering(("eu", "us"), not_asked=excused)
    assert f"{V6}: eu has no IPv6 address" in told(WEB, found).not_judged
    assert found.gone(contract) == {}
    assert found.unserved(contract) == {}


def test_a_service_that_nobody_can_ask_answers_nobody() -> None:
    only6 = Service("six", (V6,), 80, "http", http=("1.1",))
    excused = not_to_ask({"eu": frozenset({4})}, contract_of(only6))
    assert Answering(("eu",), not_asked=excused).unserved(contract_of(only6)) == {"six": "eu has no IPv6 address"}


def test_of_a_tcp_service_that_is_asked_and_reached_only_what_nobody_asks_is_left_out() -> None:
    assert [one.partition(":")[0] for one in told(REDIS).not_judged] == ["`broken`", "1,400-byte packets"]


@given(
    services=st.lists(st.sampled_from(ALL), min_size=1, unique=True),
    silent=st.sets(st.sampled_from(everything(VANTAGES, contract_of(*ALL)))),
    excused=st.sets(st.sampled_from(everything(VANTAGES, contract_of(*ALL)))),
)
def test_every_service_is_told_once_and_is_judged_exactly_where_somebody_hears_it(
    services: list[Service], silent: set[Asked], excused: set[Asked]
) -> None:
    contract = contract_of(*services)
    asked = set(everything(VANTAGES, contract))
    found = Answering(
        VANTAGES, dict.fromkeys(silent & asked - excused, "silence"), dict.fromkeys(excused & asked, "excused")
    )
    by_name = {one.service: one for one in beforehand(contract, found)}
    heard = {name for _, name, _ in found.answered(contract)}
    assert list(by_name) == [service.name for service in services]
    assert (
        {name for name, one in by_name.items() if one.judged} == heard == set(by_name) - set(found.unserved(contract))
    )
    assert all(name in heard for name, _ in found.gone(contract))
    for one in by_name.values():
        assert one.judged or one.not_judged
