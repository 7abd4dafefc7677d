"""What the commands say and return where no lab is up."""

from __future__ import annotations

import json

import click
import pytest

from cli.__main__ import COMMANDS, main
from tests.cli.conftest import ROOT, Ended, Host
from tests.reports.made.plans import DEMO
from tests.reports.synthetic import write_run


def sentence(ended: Ended, *parts: str) -> None:
    """Exit code 2, one sentence with these parts on the error stream, nothing on the output."""
    assert ended.code == 2, ended.err
    for part in parts:
        assert part in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_taking_down_a_lab_that_is_not_up_says_so(host: Host) -> None:
    sentence(host.nospof("down", host.stack()), host.lab, "not up")


def test_taking_down_a_name_that_is_neither_lab_nor_file_says_so(host: Host) -> None:
    sentence(host.nospof("down", "nosuchlab"), "nosuchlab")


def test_taking_down_everything_where_nothing_is_up_is_done_already(host: Host) -> None:
    ended = host.nospof("down", "--all", "--json")
    assert (ended.code, json.loads(ended.out)["down"]) == (0, [])


def test_a_lab_and_all_of_them_at_once_is_bad_usage(host: Host) -> None:
    sentence(host.nospof("down", "x", "--all"), "--all")


def test_inspecting_an_empty_host_prints_an_empty_object(host: Host) -> None:
    ended = host.nospof("inspect", "--json")
    assert (ended.code, ended.out) == (0, "{}\n")


def test_inspecting_a_lab_that_is_not_up_says_so(host: Host) -> None:
    sentence(host.nospof("inspect", "nosuchlab", "--json"), "nosuchlab", "not up")


def test_a_command_in_a_node_of_no_lab_is_not_run(host: Host) -> None:
    sentence(host.nospof("exec", "eu-l4-1", "--", "true"), "eu-l4-1")


def test_the_report_of_a_run_that_never_was_says_where_it_looked(host: Host) -> None:
    sentence(host.nospof("report", "nosuch-run"), "nosuch-run")


def test_the_report_of_something_that_is_no_evidence_says_where_it_stops(host: Host) -> None:
    (host.files / "evidence.jsonl").write_text("this is no evidence\n", encoding="utf-8")
    for given in (host.files, host.files / "evidence.jsonl"):
        sentence(host.nospof("report", given), "evidence.jsonl:1")
    (host.files / "evidence.jsonl").unlink()
    sentence(host.nospof("report", host.files), "neither a file, nor a directory with an evidence.jsonl")


def test_a_run_does_not_write_over_another_ones_evidence(host: Host) -> None:
    (host.files / "evidence.jsonl").write_text("yesterday's\n", encoding="utf-8")
    ended = host.nospof("run", "kill-l7", "--topology", host.stack(), "--out", host.files)
    sentence(ended, "holds the evidence of a run already")
    assert (host.files / "evidence.jsonl").read_text(encoding="utf-8") == "yesterday's\n"


def test_evidence_that_was_cut_short_gives_a_report_that_says_so(host: Host) -> None:
    kept = host.files / "of-yesterday.jsonl"
    write_run(kept, DEMO, flows=4)
    kept.write_bytes(kept.read_bytes()[:-40])
    assert host.nospof("report", kept).code == 0
    assert "The evidence is incomplete" in (host.files / "report.html").read_text(encoding="utf-8")


def test_an_unknown_scenario_is_answered_with_those_there_are(host: Host) -> None:
    before = sorted((ROOT / "reports/out").glob("*"))
    sentence(host.nospof("run", "nosuch-scenario"), "nosuch-scenario", "kill-l4", "kill-region")
    assert sorted((ROOT / "reports/out").glob("*")) == before


@pytest.mark.parametrize("words", [("frobnicate",), ("down", "--frobnicate"), ("exec",)])
def test_what_was_typed_wrong_is_bad_usage(host: Host, words: tuple[str, ...]) -> None:
    sentence(host.nospof(*words), "Usage")


def _every_command() -> list[str]:
    """All there are, those of groups too."""
    context = click.Context(main)
    found = [""]
    for name in main.list_commands(context):
        found.append(name)
        command = main.get_command(context, name)
        found += [f"{name} {inner}" for inner in sorted(command.commands)] if isinstance(command, click.Group) else []
    assert len(found) > len(COMMANDS)
    return found


@pytest.mark.parametrize("command", _every_command())
def test_every_command_explains_itself(host: Host, command: str) -> None:
    ended = host.nospof(*command.split(), "--help")
    assert ended.code == 0, ended.err
    assert "Usage:" in ended.out
    paragraph = ended.out.split("\n\n")[1].strip()
    assert len(paragraph) > 20, "a command without a word about itself"
    if not command:
        assert all(name in ended.out for name in COMMANDS)
    assert host.labs() == []
