"""Bad input ends with exit code 2 and says file and line, before anything is deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cli.conftest import CONTRACT, TOPOLOGY, Host


@dataclass(frozen=True, slots=True)
class Mistake:
    """A text to put in place of another, and what has to be said of it."""

    old: str
    new: str
    says: str

    def edit(self, text: str) -> str:
        assert self.old in text
        return text.replace(self.old, self.new, 1)

    def line(self, text: str) -> int:
        return text[: text.index(self.old)].count("\n") + 1


TOPOLOGY_MISTAKES = {
    "syntax": Mistake("links:", "links: [", ""),
    "unknown key": Mistake("links:\n", "lynks:\n", "lynks"),
    "unknown node key": Mistake("c: {labels:", "c: {lables:", "lables"),
    "missing node": Mistake("s:eth1", "nobody:eth1", "nobody"),
    "image": Mistake("c: {", "c: {image: 'debian:12', ", "debian:12"),
}
CONTRACT_MISTAKES = {
    "no unit": Mistake("300ms", "300", "no unit"),
    "unknown fault": Mistake("kill-node:", "kill-nod:", "kill-nod"),
    "unknown key": Mistake("black_hole:", "blak_hole:", "did you mean 'black_hole'"),
    "unmeasured limit": Mistake(
        "300ms}", "300ms, request_fail: 1s}", "a service with protocol http, https or tcp with 'expect'"
    ),
    "not promised beside a limit": Mistake("300ms}", "300ms, not promised}", "'not promised' alone"),
    "vip outside": Mistake("[203.0.113.20]", "[192.0.2.1]", "192.0.2.1"),
}
Command = Callable[[Host, str], tuple[str, ...]]
COMMANDS: dict[str, Command] = {
    "up": lambda _, path: ("up", path),
    "demo": lambda _, path: ("demo", "--topology", path),
    "run": lambda _, path: ("run", "kill-l4", "--topology", path),
}


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("name", TOPOLOGY_MISTAKES)
def test_a_bad_topology_is_refused_with_file_and_line(host: Host, name: str, command: str) -> None:
    mistake = TOPOLOGY_MISTAKES[name]
    path = host.stack(mistake.edit)
    ended = host.nospof(*COMMANDS[command](host, str(path)))
    assert ended.code == 2, ended.err
    assert f"{path}:" in ended.err
    assert mistake.says in ended.err
    if name != "syntax":  # where a bracket should have been closed is for the parser to say
        assert f"{path}:{mistake.line(TOPOLOGY.format(name=host.lab))}" in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("name", CONTRACT_MISTAKES)
def test_a_bad_contract_is_refused_with_file_and_line(host: Host, name: str, command: str) -> None:
    mistake = CONTRACT_MISTAKES[name]
    path = host.stack(contract=mistake.edit)
    ended = host.nospof(*COMMANDS[command](host, str(path)))
    assert ended.code == 2, ended.err
    assert f"{path.with_name('small.contract.yml')}:{mistake.line(CONTRACT)}" in ended.err
    assert mistake.says in ended.err
    assert host.labs() == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_topology_that_does_not_exist_is_bad_input(host: Host, command: str) -> None:
    path = host.files / "nowhere.clab.yml"
    ended = host.nospof(*COMMANDS[command](host, str(path)))
    assert ended.code == 2, ended.err
    assert str(path) in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []


def test_a_topology_without_its_contract_is_bad_input(host: Host) -> None:
    path = host.stack()
    missing = path.with_name("small.contract.yml")
    missing.unlink()
    ended = host.nospof("run", "--topology", path)
    assert ended.code == 2, ended.err
    assert str(missing) in ended.err
    assert host.labs() == []


def test_a_topology_without_clients_is_bad_input(host: Host) -> None:
    path = host.stack(lambda text: text.replace("role: client", "role: edge"))
    ended = host.nospof("demo", "--topology", path)
    assert ended.code == 2, ended.err
    assert "client" in ended.err
    assert host.labs() == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nosuchmodule\n", "nosuchmodule"),
        ("def x(:\n", ":1: syntaxerror"),
        ("x = 1\n", "user"),
        (None, "absent.py"),
    ],
)
def test_a_locustfile_that_cannot_be_used_is_refused_in_one_sentence(host: Host, text: str | None, says: str) -> None:
    file = host.files / ("absent.py" if text is None else "locustfile.py")
    if text is not None:
        file.write_text(text, encoding="utf-8")
    ended = host.nospof("run", "kill-l7", "--topology", host.stack(), "--locustfile", file)
    assert ended.code == 2, ended.err
    assert says in ended.err.lower()
    assert "Traceback" not in ended.err
    assert host.labs() == []


@pytest.mark.parametrize("count", ["0", "2001", "many"])
def test_more_connections_than_can_be_held_or_none_are_refused(host: Host, count: str) -> None:
    ended = host.nospof("run", "kill-l7", "--topology", host.stack(), "--connections", count)
    assert ended.code == 2, ended.err
    assert "--connections" in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("kill-l7", "--target", "typo"), ("no node 'typo'", "expected s")),
        (("kill-l7", "--target=c"), ("c, which is a client", "for kill-l7 s")),
        (("kill-node", "--target", "s", "--target", "t"), ("no node 't'",)),
        (("kill-l7", "cut-link", "--target", "s:eth9"), ("no link 's:eth9'", "c:eth1–s:eth1")),
        (("kill-l7", "--target", "s", "--each"), ("--each beside --target s", "one of the two")),
        (("kill-l7", "--target"), ("--target without a name",)),
        (("kill-l4",), ("roles client, l7", "nospof.role: l4")),
        (("drain-l7", "crash-process"), ("actions.l7.drain", "processes: found nothing")),
        (("--target", "typo"), ("'typo', which no scenario can break", "a node, a region or NODE:INTERFACE")),
    ],
)
def test_what_cannot_be_broken_is_refused_with_what_can(
    host: Host, words: tuple[str, ...], says: tuple[str, ...]
) -> None:
    ended = host.nospof("run", *words, "--topology", host.stack())
    assert ended.code == 2, ended.err
    for part in says:
        assert part in ended.err
    assert "Traceback" not in ended.err
    assert host.labs() == []
