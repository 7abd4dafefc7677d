"""Links of a lab by hand: listed, cut, mended, impaired, healed; what cannot be meant is told what would be right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Host

pytestmark = pytest.mark.lab
LAB = """\
name: {name}
topology:
  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none, cmd: sleep infinity}}
  nodes:
    a: {{exec: [ip address add 10.0.0.1/24 dev eth1, ip route add 10.9.0.0/16 via 10.0.0.2]}}
    b: {{exec: [ip address add 10.0.0.2/24 dev eth1, ip route add 10.8.0.0/16 via 10.0.0.1]}}
  links:
    - endpoints: [a:eth1, b:eth1]
    - endpoints: [a:eth2, b:eth2]
"""


@pytest.fixture
def up(host: Host) -> Iterator[Host]:
    path: Path = host.files / "pair.clab.yml"
    path.write_text(LAB.format(name=host.lab), encoding="utf-8")
    started = host.nospof("up", path)
    assert started.code == 0, started.err
    yield host
    host.nospof("down", host.lab)


def _answers(host: Host) -> bool:
    return host.nospof("exec", "a", "--", "ping", "-c1", "-W1", "10.0.0.2").code == 0


def _listed(host: Host) -> dict[str, object]:
    found: dict[str, object] = json.loads(host.nospof("link", "list", "--json").out)
    return found


def test_a_link_is_cut_and_mended_with_its_static_routes(up: Host) -> None:
    routes = up.nospof("exec", "b", "--", "ip", "route").out
    for how in ([], ["--carrier-loss"]):
        assert up.nospof("link", "cut", "a:eth1", *how).code == 0
        assert not _answers(up)
        first = _listed(up)["links"][0]  # type: ignore[index]
        assert (first["cut"], first["carrier"]) == ((False, False) if how else (True, True))
        assert up.nospof("link", "mend", "b:eth1").code == 0
        assert _answers(up)
        assert up.nospof("exec", "b", "--", "ip", "route").out == routes


def test_one_direction_is_impaired_until_it_is_healed(up: Host) -> None:
    done = up.nospof("link", "impair", "a:eth1", "--toward", "b", "--loss", "100%", "--json")
    assert done.code == 0, done.err
    (told,) = json.loads(done.out)["impaired"]
    assert (told["sender"], told["receiver"], told["loss"]) == ("a:eth1", "b:eth1", 1.0)
    assert not _answers(up)
    assert _listed(up)["impaired"][0]["sender"] == "a:eth1"  # type: ignore[index]
    assert "is no longer impaired" in up.nospof("link", "heal", "a:eth1").err
    assert _answers(up)
    assert "was not impaired" in up.nospof("link", "heal", "a:eth1").err


WRONG: tuple[tuple[tuple[str, ...], str], ...] = (
    (("a", "b", "--delay", "1ms"), "between a and b there are a:eth1–b:eth1, a:eth2–b:eth2: name one by an end of it"),
    (("a", "c", "--delay", "1ms"), "no node 'c'"),
    (("a:eth7", "--delay", "1ms"), "no link a:eth7; there are a:eth1–b:eth1, a:eth2–b:eth2"),
    (("a", "--delay", "1ms"), "names no link; expected two nodes, or one end such as NODE:eth1"),
    (("a:eth1", "--delay", "5"), "--delay: found '5'; expected a time with its unit"),
    (("a:eth1", "--jitter", "5ms"), "expected no more jitter than delay"),
    (("a:eth1", "--loss", "1%", "--toward", "x"), "--toward x: a:eth1–b:eth1 ends at a and b"),
    (("a:eth1",), "say how to impair it: --delay"),
)


def test_what_cannot_be_meant_is_told_what_would_be_right(up: Host) -> None:
    for words, said in WRONG:
        ended = up.nospof("link", "impair", *words)
        assert ended.code == 2, ended.err
        assert said in " ".join(ended.err.split())
        assert "Traceback" not in ended.err
