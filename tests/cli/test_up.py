"""A lab by hand: any containerlab file comes up, is asked, hurt, reset and taken down, and a runtime that is missing says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Host

PLAIN = """\
name: {name}
topology:
  defaults: {{kind: linux, image: nospof/base:latest}}
  nodes:
    a: {{exec: [ip address add 10.0.0.1/24 dev eth1]}}
    b: {{exec: [ip address add 10.0.0.2/24 dev eth1, no-such-command]}}
  links:
    - endpoints: [a:eth1, b:eth1]
"""


def _plain(host: Host) -> Path:
    path = host.files / "plain.clab.yml"
    path.write_text(PLAIN.format(name=host.lab), encoding="utf-8")
    return path


@pytest.mark.lab
def test_a_file_without_a_contract_comes_up_is_reset_and_goes(host: Host) -> None:
    up = host.nospof("up", _plain(host), "--json")
    try:
        assert up.code == 0, up.err
        assert json.loads(up.out)["nodes"] == 2
        assert "exec `no-such-command`" in up.err, "what failed is told"
        assert host.nospof("exec", "a", "--", "ping", "-c1", "-W1", "10.0.0.2").code == 0
        (rows,) = json.loads(host.nospof("inspect", "--json").out).values()
        assert {row["name"]: row["ipv4_address"] for row in rows} == {
            f"clab-{host.lab}-a": "172.20.20.2/24",
            f"clab-{host.lab}-b": "172.20.20.3/24",
        }
        reset = json.loads(host.nospof("reset", "--json").out)
        assert (reset["lab"], reset["healed"]) == (host.lab, [])
    finally:
        down = host.nospof("down", host.lab)
    assert down.code == 0, down.err
    assert host.labs() == []


def test_resetting_where_no_lab_is_up_says_so(host: Host) -> None:
    ended = host.nospof("reset")
    assert (ended.code, ended.out) == (2, "")
    assert "no lab is up" in ended.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "containerlab is not installed"),
        ("echo 'version: 0.40.1'", "containerlab 0.40.1 is too old"),
        ("echo nothing", "said no version"),
    ],
)
def test_a_runtime_that_cannot_be_used_says_why_and_leaves_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    tools = host.files / "tools"
    tools.mkdir()
    if script is not None:
        (tools / "containerlab").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "containerlab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin")
    ended = host.nospof("up", _plain(host), "--runtime", "containerlab")
    assert ended.code == 3, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []


def test_a_docker_that_does_not_answer_is_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = host.files / "tools"
    tools.mkdir()
    (tools / "containerlab").write_text("#!/bin/sh\necho 'version: 0.79.0'\n")
    (tools / "containerlab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{host.files}/nobody.sock")
    ended = host.nospof("up", _plain(host), "--runtime", "containerlab")
    assert ended.code == 3, ended.err
    assert "Docker does not answer" in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []
