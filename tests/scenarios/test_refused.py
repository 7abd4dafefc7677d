"""A small lab whose contract is wrong about it: what is wrong is known and told before anything is broken, and what is right is not
doubted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.up import command as up
from scenarios import boot as boot_module
from scenarios.absent import refuse_missing
from scenarios.boot import Booted, boot
from scenarios.instruments import Instruments
from tests.scenarios.stack import CONTRACT, write_stack
from topologies.linux.state import ROOT as STATE
from topologies.oci.destroy import destroy
from topologies.problems import BadInput
from topologies.runtime import RuntimeFailure

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

VIP, VIP6 = "203.0.113.10", "2001:db8:f::10"
WRONG = (
    CONTRACT.replace("prefixes: [203.0.113.0/24]", "prefixes: [203.0.113.0/24, '2001:db8:f::/48']")
    .replace("vip: [203.0.113.10], port: 80", f"vip: [{VIP}, '{VIP6}'], port: 80")
    .replace("identity: x-backend}", "identity: x-nobody, stream: /}")
    .replace("withdraw: [sh,", "withdraw: [shh,")
    .replace("actions:\n", "processes: {l7: [pithon3, python3]}\nactions:\n")
)


def _silent(text: str) -> str:
    """The server answers no pings."""
    return text.replace("      cmd: >-\n", "      sysctls: {net.ipv4.icmp_echo_ignore_all: 1}\n      cmd: >-\n")


@contextmanager
def booted_from(directory: Path, contract: str, edit: Callable[[str], str] = str) -> Iterator[tuple[Booted, list[str]]]:
    """The small stack under that contract, and what was told while it came up."""
    topology = write_stack(directory, f"ref{os.getpid()}")
    topology.write_text(edit(topology.read_text()))
    topology.with_name("small.contract.yml").write_text(contract)
    said: list[str] = []
    found = boot(topology, say=said.append)
    try:
        yield found, said
    finally:
        found.lab.close()
        destroy(found.topology.name)


def test_what_is_wrong_with_a_contract_is_known_after_the_boot_and_refused(tmp_path: Path) -> None:
    with booted_from(tmp_path, WRONG, _silent) as (booted, said):
        assert booted.unreached == {}, "a header that is missing is no silence"
        assert booted.without_identity == {("client", "web", VIP): ("x-backend", "content-length")}
        assert booted.not_asked == {("client", "web", VIP6): "client has no IPv6 address"}
        assert booted.no_ping == {("client", VIP)}
        assert not any("going on with the rest" in line for line in said)
        (web,) = (line.rpartition("web: ")[2] for line in said if "web: " in line)
        assert "lack the identity header `x-nobody` (they carry content-length, x-backend)" in web
        assert f"pings to {VIP}: none is answered, so none is sent" in web
        assert f"{VIP6}: client has no IPv6 address" in web
        with Instruments(booted) as started:
            assert {flow.transport for flow in started.probers["client"].flows} == {"udp", "tcp"}
        with pytest.raises(BadInput) as caught:
            refuse_missing(booted, ("withdraw-l4",))
        by_field = {problem.field: problem for problem in caught.value.problems}
        assert set(by_field) == {"actions.l4.withdraw", "processes.l7", "services.web.stream"}
        assert by_field["actions.l4.withdraw"].found == "the program 'shh', which is not in the node spare, way1, way2"
        assert "did you mean 'sh'" in by_field["actions.l4.withdraw"].expected
        assert by_field["processes.l7"].found == "'pithon3', which runs in no node of that role (server)"
        assert "did you mean 'python3'" in by_field["processes.l7"].expected
        assert "its answer ends" in by_field["services.web.stream"].found
        for problem in by_field.values():
            key = problem.field.rpartition(".")[2]
            assert f"{key}:" in WRONG.splitlines()[problem.line - 1]


def test_what_is_right_is_not_refused(tmp_path: Path) -> None:
    right = CONTRACT.replace("actions:\n", "processes: {l7: [python3]}\nactions:\n")
    with booted_from(tmp_path, right) as (booted, said):
        refuse_missing(booted, ())
        refuse_missing(booted, ("crash-process", "withdraw-l4"), ())
        assert booted.without_identity == booted.not_asked == booted.unreached == {}
        assert booted.no_ping == frozenset()
        assert any("every service answers from every vantage" in line for line in said)


def test_up_says_which_service_answers_nobody_and_ends_with_three_and_the_lab_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot_module, "CONVERGED_WITHIN_S", 4.0)
    lab = f"ups{os.getpid()}"
    topology = write_stack(tmp_path, lab, web="greeting")
    try:
        assert up.main([str(topology)], standalone_mode=False) == 3
        assert (STATE / lab).exists(), "it is there to be looked at"
    finally:
        destroy(lab)
    said = capsys.readouterr().err
    assert "web does not answer: client → web 203.0.113.10 (ConnectionError: no answer by HTTP/1.1" in said
    assert "every service answers" not in said


def test_a_lab_in_which_nothing_answers_is_taken_down_again_and_every_service_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_module, "CONVERGED_WITHIN_S", 4.0)
    lab = f"mute{os.getpid()}"
    topology = write_stack(tmp_path, lab)
    topology.write_text(
        topology.read_text().replace("203.0.113.10 80", "203.0.113.10 81").replace("203.0.113.20 7", "203.0.113.20 8")
    )
    with pytest.raises(
        RuntimeFailure, match=r"web does not answer: client → web .*; echo does not answer: client → echo"
    ) as caught:
        boot(topology)
    assert "services answer" not in str(caught.value)
    assert not (STATE / lab).exists()
