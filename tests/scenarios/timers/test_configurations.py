"""What keepalived's and HAProxy's configurations say of how long they take to notice a fault is read as these programs read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.timers import haproxy, keepalived
from scenarios.timers.model import SECOND, Found
from tests.scenarios.timers.told import HAPROXY, LINES, VRRP

MS = 1_000_000


def lengths(found: Found) -> list[float]:
    assert found.said == ()
    return [timer.length_ns / SECOND for timer in found.timers]


@given(priority=st.integers(1, 254), advert=st.integers(1, 40), interval=st.integers(1, 60), fall=st.integers(1, 20))
def test_keepalived_takes_three_adverts_and_a_skew_to_take_over(
    priority: int, advert: int, interval: int, fall: int
) -> None:
    found = keepalived.timers("lb2", VRRP.format(priority=priority, advert=advert, interval=interval, fall=fall))
    instance, script = found.timers
    down = 3 * advert * SECOND + (256 - priority) * SECOND // 256
    assert (instance.node, instance.length_ns) == ("lb2", down)
    assert "VI_1" in instance.what
    assert script.length_ns == (fall + 1) * interval * SECOND + down, "the script, its timeout, and the takeover"
    assert "chk_haproxy" in script.what
    assert found.said == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vrrp_instance A {\n advert_int 0.5\n priority 0\n version 3\n}", 2.0),
        ("global_defs {\n vrrp_version 3\n}\nvrrp_instance A {\n advert_int 0.5\n priority 128\n}", 1.75),
        ("vrrp_instance A {\n priority 255\n}", 3 + 1 / 256),
        ("vrrp_instance A {\n priority 256\n down_timer_adverts 5\n}", 5.0),
        ("$PRIO=256\nvrrp_instance A {\n priority $PRIO\n advert_int ${PRIO}\n}", 768.0),
        ("vrrp_instance A {\n @main priority 256\n @^main priority 128\n}", 3.5),
        ("vrrp_instance A { priority 256 }", 3.0),
    ],
)
def test_keepalived_reads_versions_definitions_and_conditions(text: str, expected: float) -> None:
    assert lengths(keepalived.timers("lb", text)) == [expected]


def test_lines_of_another_keepalived_do_not_count() -> None:
    text = "vrrp_instance A {\n @main priority 256\n @^main priority 128\n}"
    assert lengths(keepalived.timers("lb", text, "main")) == [3.0]


def test_a_script_that_nothing_tracks_is_no_timer_and_one_of_a_group_is() -> None:
    script = "vrrp_script chk {\n interval 2\n timeout 1\n}\n"
    instance = "vrrp_instance A {\n priority 256\n}\n"
    group = "vrrp_sync_group G {\n group {\n A\n }\n track_script {\n chk weight 2\n }\n}\n"
    assert lengths(keepalived.timers("lb", script + instance)) == [3.0]
    assert lengths(keepalived.timers("lb", script + instance + group)) == [3.0, 2 + 1 + 3]


def test_keepalived_checks_real_servers_with_what_their_virtual_server_says() -> None:
    text = """
    virtual_server 10.0.0.1 80 {
      delay_loop 6
      lb_algo rr
      connect_timeout 2
      real_server 10.0.0.2 80 {
        HTTP_GET {
          url { path / status_code 200 }
          connect_timeout 3
          retry 2
        }
      }
      real_server 10.0.0.3 80 {
        TCP_CHECK {
        }
      }
    }
    """
    found = keepalived.timers("lb", text)
    assert lengths(found) == [6 + 3 + 2 * (3 + 3), 6 + 2 + 1 * (1 + 2)]
    assert "10.0.0.2 80" in found.timers[0].what


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing"),
        ("include /etc/keepalived/more.conf\nvrrp_instance A {\n}", "more.conf"),
        ("vrrp_instance A {\n advert_int soon\n}", "soon"),
        ("vrrp_instance A {\n priority high\n}", "high"),
        ("vrrp_instance A {\n", "close"),
        ("vrrp_instance A {\n}\n}", "did not open"),
    ],
)
def test_what_keepalived_does_not_tell_is_said(text: str, words: str) -> None:
    assert any(words in sentence for sentence in keepalived.timers("lb", text).said)


@given(inter=st.integers(1, 60_000), fall=st.integers(1, 30))
def test_haproxy_finds_a_server_down_when_its_checks_failed_in_a_row(inter: int, fall: int) -> None:
    found = haproxy.timers("lb1", HAPROXY.format(inter=inter, fall=fall))
    assert found.said == ()
    (check,) = found.timers  # web2 is not checked
    assert (check.node, check.length_ns) == ("lb1", 2 * fall * inter * MS), (
        "each check waits as long as the pause before it"
    )
    assert "be/web1 (10.0.0.21:80)" in check.what


def backend(*lines: str, defaults: str = "defaults") -> str:
    return "\n".join((defaults, "backend be", *lines))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (backend("server a 10.0.0.1:80 check"), 2 * 3 * 2),
        (backend("server a 10.0.0.1:80 check inter 1s fall 3 fastinter 200ms"), 1 + 1 + 2 * (0.2 + 1)),
        (backend("timeout connect 1s", "timeout check 3s", "server a x:80 check inter 1s fall 2"), 2 * (1 + 1 + 3)),
        (backend("server a x:80 check inter 1s fall 2", "timeout check 3s", "timeout connect 5s"), 2 * (1 + 1 + 3)),
        (backend("default-server inter 1m fall 1 check", "server a 10.0.0.1:80"), 2 * 60),
        (backend("server a x:80 check", defaults="defaults\n default-server inter 500 fall 1"), 1),
        (backend("server-template web 3 srv.test:80 check inter 1s fall 1"), 2),
        (backend('server "a b" x:80 check inter 1s fall 1 # fall 9'), 2),
        ("defaults A\n default-server inter 1s\ndefaults B\nbackend be from A\nserver a x:80 check fall 1", 2),
        ("defaults\n default-server inter 1s\ndefaults\nbackend be\nserver a x:80 check fall 1", 4),
        ("listen fe\nbind :80\nserver a x:80 check inter 1s fall 1", 2),
    ],
)
def test_haproxy_reads_what_a_server_inherits(text: str, expected: float) -> None:
    assert lengths(haproxy.timers("lb", text)) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    "text",
    [
        backend("server a 10.0.0.1:80"),
        backend("default-server check", "server a 10.0.0.1:80 no-check"),
        "peers p\nserver a 10.0.0.1:80 check",
    ],
)
def test_haproxy_has_no_timer_for_what_it_does_not_check(text: str) -> None:
    assert lengths(haproxy.timers("lb", text)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no section"),
        (backend("server a x:80 check inter soon"), "soon"),
        (backend("server a x:80 check fall often"), "often"),
        (backend("timeout check"), ""),
        (backend("timeout check 3000000s"), "3000000s"),
    ],
)
def test_what_haproxy_does_not_tell_is_said(text: str, words: str) -> None:
    assert not words or any(words in sentence for sentence in haproxy.timers("lb", text).said)


@given(LINES)
def test_no_text_brings_a_reading_down(text: str) -> None:
    for found in (keepalived.timers("lb", text), haproxy.timers("lb", text)):
        assert all(timer.length_ns >= 0 for timer in found.timers)
