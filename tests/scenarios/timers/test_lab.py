"""Timers of real programs: what a fault starts runs until the program itself says that it is over, and what it does not start
does not."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scenarios.faults.base import FaultPlan
from scenarios.timers.model import SECOND
from scenarios.timers.running import SETTLE_NS
from scenarios.timers.timers import FIRST_ASK_NS, Kept, Timers
from tests.probes.conftest import wait_until
from tests.scenarios.timers.conftest import HOLD_S, ask, routers
from tests.scenarios.timers.told import VRRP
from tests.topologies.lab.conftest import Describe, Up
from topologies.linux.lab import LinuxLab

pytestmark = pytest.mark.lab
FREEZE = FaultPlan("freeze-process", "b", None, ("b",), "Froze bgpd of node b", "bgpd of node b")
KILL = FaultPlan("kill-node", "b", None, ("b",), "Killed node b silently", "node b", kills=True)


@dataclass
class Observed:
    """A fault from its event on, looked at until no timer runs."""

    lab: LinuxLab
    timers: Timers
    event_ns: int = field(default_factory=time.monotonic_ns)
    last: str = ""

    def over(self) -> bool:
        running = self.timers.running(self.lab, self.event_ns, time.monotonic_ns())
        self.last = ", ".join(map(str, running))
        return not running

    def until_over(self) -> float:
        """Seconds from the event until no timer runs."""
        wait_until(self.over, f"the end of {self.last or 'all timers'}", deadline_s=self.timers.longest_ns / SECOND + 5)
        return (time.monotonic_ns() - self.event_ns) / SECOND


def state(lab: LinuxLab) -> str:
    """Of a's session with b."""
    (told,) = json.loads(ask(lab, "a", "bgpd", "show bgp neighbors json")).values()
    return str(told["bgpState"])


def names(timers: Timers) -> set[str]:
    return {str(timer) for timer in timers.timers}


def test_what_a_frozen_router_starts_runs_until_its_peer_lets_the_session_go(plain: LinuxLab) -> None:
    """BFD or not, nobody else would notice: bgpd's kernel goes on acknowledging."""
    timers = Timers.before(plain, FREEZE, process="bgpd")
    assert "hold time of BGP session with b (10.0.0.2) at a (FRR)" in names(timers)
    assert "dead interval of OSPF session with b (10.0.1.2) at a (FRR)" in names(timers)
    assert all(timer.node == "a" for timer in timers.timers), "what is broken times nothing that counts"
    assert timers.known
    assert timers.longest_ns == HOLD_S * SECOND + SETTLE_NS
    assert plain.signal("b", "bgpd", signal.SIGSTOP)
    observed = Observed(plain, timers)
    wait_until(
        lambda: observed.over() or state(plain) != "Established", "the end of the session", deadline_s=HOLD_S + 3
    )
    held_s = (time.monotonic_ns() - observed.event_ns) / SECOND
    assert "hold time" in observed.last
    assert "dead interval" not in observed.last, "ospfd goes on, and was heard since"
    assert held_s > HOLD_S - 2.5, "keepalives come every 2 s"
    took_s = observed.until_over()
    assert held_s + 1 < took_s <= timers.longest_ns / SECOND + 1, "what the session's end does can still be seen"


def test_what_a_killed_node_starts_is_over_when_bfd_noticed(with_bfd: LinuxLab) -> None:
    timers = Timers.before(with_bfd, KILL)
    with_bfd.kill(["b"])
    observed = Observed(with_bfd, timers)
    wait_until(lambda: state(with_bfd) != "Established", "BFD", deadline_s=2)
    assert not observed.over(), "not asked yet"
    wait_until(lambda: observed.over() or "BGP" not in observed.last, "the end of BGP's timers", deadline_s=HOLD_S)
    took_ns = time.monotonic_ns() - observed.event_ns
    assert FIRST_ASK_NS <= took_ns < FIRST_ASK_NS + SECOND, "the first answer was enough"
    assert "dead interval" in observed.last, "OSPF has no BFD here"


def test_a_process_that_holds_no_session_starts_no_hold_time(plain: LinuxLab) -> None:
    timers = Timers.before(plain, FREEZE, process="sleep")
    assert (timers.known, timers.longest_ns) == (False, 0)
    assert timers.running(plain, time.monotonic_ns(), time.monotonic_ns()) == ()
    assert timers.stack_ns == HOLD_S * SECOND, "but the stack has one"


def test_an_action_that_silences_nobody_starts_nothing_that_lasts(plain: LinuxLab) -> None:
    drain = FaultPlan("drain", "b", None, ("b",), "Drained b", "node b")
    observed = Observed(plain, Timers.before(plain, drain))
    assert observed.until_over() < HOLD_S
    assert state(plain) == "Established"


def test_a_cut_link_starts_the_timers_of_both_its_ends(plain: LinuxLab) -> None:
    """OSPF says on which interface it is; a session between addresses may be on either of the two links, until it is asked."""
    for link, expected in zip(plain.topology.links, ({"BGP"}, {"BGP", "OSPF"}), strict=True):
        timers = Timers.before(plain, FaultPlan("cut-link", str(link), None, (), "Cut", "link", (link,)))
        assert {(t.node, t.peer.protocol) for t in timers.timers if t.peer} == {(n, p) for n in "ab" for p in expected}


def test_routes_that_outlive_their_session_are_waited_for(describe: Describe, up: Up, tmp_path: Path) -> None:
    lab = routers(describe, up, tmp_path, graceful=True)
    timers = Timers.before(lab, KILL)
    restart = [t for t in timers.timers if t.restart]
    assert [t.length_ns for t in restart] == [(HOLD_S + 120) * SECOND]
    lab.kill(["b"])
    observed = Observed(lab, timers)
    wait_until(lambda: state(lab) != "Established", "the end of the session", deadline_s=HOLD_S + 3)
    end_ns = time.monotonic_ns() + 4 * SECOND
    wait_until(lambda: observed.over() or time.monotonic_ns() > end_ns, "time itself")
    assert observed.last == "restart time of BGP session with b (10.0.0.2) at a (FRR)"
    assert "gracefulRestartTimerMsecs" in ask(lab, "a", "bgpd", "show bgp neighbors json")


def test_a_router_that_does_not_answer_is_named_and_has_none(plain: LinuxLab) -> None:
    assert plain.signal("a", "bgpd", signal.SIGSTOP)
    began = time.monotonic()
    timers = Timers.before(plain, KILL)
    assert time.monotonic() - began < 4
    assert not timers.known
    (said,) = timers.unanswered
    assert said.startswith("a: ")
    assert "vtysh" in said


def test_what_cannot_change_is_read_once(plain: LinuxLab) -> None:
    kept = Kept()
    first = Timers.before(plain, KILL, kept=kept)
    asked: list[str] = []
    exec_in = plain.exec
    plain.exec = lambda node, *args, **more: (asked.append(node), exec_in(node, *args, **more))[1]  # type: ignore[method-assign]
    assert Timers.before(plain, KILL, kept=kept).timers == first.timers
    assert asked == []
    for pid in plain.processes("b", "bgpd"):
        kept.nodes["b"] = ({**kept.nodes["b"][0], "bgpd": [pid + 1]}, kept.nodes["b"][1])
    Timers.before(plain, KILL, kept=kept)
    assert set(asked) == {"b"}, "another process may have read another configuration"


SERVER = "python3 -m http.server 80 --bind 0.0.0.0"
PROXY = """\
global
  log stderr format raw local0
defaults
  mode http
  log global
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
{defaults}
frontend fe
  bind :80
  default_backend be
backend be
  option log-health-checks
  server web 10.0.0.2:80 check {check}
"""


@pytest.fixture
def proxied(describe: Describe, up: Up, tmp_path: Path) -> Callable[[str, str], LinuxLab]:
    """A proxy a before a server b, by what it says of its checks; the proxy's log is /tmp/log."""

    def started(check: str, defaults: str = "") -> LinuxLab:
        (tmp_path / "haproxy.cfg").write_text(PROXY.format(check=check, defaults=defaults))
        proxy = "sh -c 'cd /etc/lab && exec haproxy -db -f haproxy.cfg >/tmp/log 2>&1'"
        lab = up(
            describe(
                "  nodes:\n"
                f'    a: {{cmd: "{proxy}", binds: [haproxy.cfg:/etc/lab/haproxy.cfg], exec: [ip address add 10.0.0.1/24 dev eth1]}}\n'
                f'    b: {{cmd: "{SERVER}", exec: [ip address add 10.0.0.2/24 dev eth1]}}\n'
                "  links:\n    - {endpoints: [a:eth1, b:eth1], mtu: 1500}\n"
            )
        )
        wait_until(lambda: lab.exec("b", ["sh", "-c", "ss -ltn | grep -q :80"]).code == 0, "the server")
        return lab

    return started


@pytest.mark.parametrize(
    ("check", "defaults", "fault"),
    [
        ("inter 1s fall 2", "  option httpchk GET /", "freeze"),
        ("inter 1s fall 2", "  option httpchk GET /\n  timeout check 2s", "freeze"),
        ("inter 2s fastinter 300ms fall 3", "", "kill"),
    ],
)
def test_haproxy_finds_a_server_down_before_its_timer_is_over(
    proxied: Callable[[str, str], LinuxLab], check: str, defaults: str, fault: str
) -> None:
    lab = proxied(check, defaults)
    wait_until(lambda: " UP" in checks(lab)[-1] and "succeeded" in checks(lab)[-1], "a server that is up")
    before = said(lab).count("Server be/web is DOWN")
    (timer,) = Timers.before(lab, KILL).timers
    assert (timer.node, timer.source) == ("a", "HAProxy")
    assert "be/web (10.0.0.2:80)" in timer.what
    event_ns = time.monotonic_ns()
    if fault == "kill":
        lab.kill(["b"])
    else:
        lab.signal("b", "python3", signal.SIGSTOP)
    wait_until(lambda: said(lab).count("Server be/web is DOWN") > before, "a server that is found down", deadline_s=20)
    took_ns = time.monotonic_ns() - event_ns
    assert timer.length_ns / 2 < took_ns < timer.length_ns + SECOND // 2


def checks(lab: LinuxLab) -> list[str]:
    return [line for line in said(lab).splitlines() if "Health check for server" in line] or [""]


def said(lab: LinuxLab) -> str:
    return lab.exec("a", ["cat", "/tmp/log"]).out


def test_what_keepalived_was_given_is_read_from_its_command_line(describe: Describe, up: Up, tmp_path: Path) -> None:
    """The image has no keepalived; a program of that name with its command line is enough to be read."""
    (tmp_path / "vrrp.conf").write_text(VRRP.format(priority=100, advert=1, interval=1, fall=2))
    (tmp_path / "named.py").write_text(
        "open('/proc/self/comm', 'w').write('keepalived')\nimport signal; signal.pause()\n"
    )
    stand_in = "python3 /etc/lab/named.py -n -f /etc/lab/vrrp.conf"
    binds = "[vrrp.conf:/etc/lab/vrrp.conf, named.py:/etc/lab/named.py]"
    nodes = "".join(f'    {n}: {{cmd: "{stand_in}", binds: {binds}}}\n' for n in "ab")
    lab = up(describe(f"  nodes:\n{nodes}  links:\n    - {{endpoints: [a:eth1, b:eth1], mtu: 1500}}\n"))
    wait_until(lambda: all("keepalived" in lab.pids(n).values() for n in "ab"), "programs")
    timers = Timers.before(lab, KILL)
    assert [(t.node, t.source) for t in timers.timers] == [("a", "keepalived")] * 2
    assert timers.timers[0].length_ns == 3 * SECOND + 156 * SECOND // 256
    assert len(Timers.before(lab, FREEZE, process="sleep").timers) == 4, "who is not killed goes on"
    assert {t.node for t in Timers.before(lab, FREEZE, process="keepalived").timers} == {"a"}
