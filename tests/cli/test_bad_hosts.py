"""What cannot come up says why in one sentence, with the exit code that says whose fault it is, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Ended, Host
from tests.probes.conftest import wait_until
from tests.topologies.lab.conftest import require_containerlab
from tests.topologies.lab.host import traces
from topologies.containerlab.containers import engine, of_lab
from topologies.source import load_topology

pytestmark = pytest.mark.lab
HEAD = "name: {lab}\ntopology:\n  defaults: {{kind: linux, image: nospof/base:latest, network-mode: none}}\n  nodes:\n"


def _file(host: Host, nodes: str, head: str = HEAD) -> Path:
    path = host.files / "bad.clab.yml"
    path.write_text(head.format(lab=host.lab) + nodes, encoding="utf-8")
    return path


def _refused(ended: Ended, host: Host, code: int, said: str) -> None:
    assert ended.code == code, ended.err
    sentence = " ".join(ended.err.split())
    assert said in sentence, sentence
    assert "Traceback" not in ended.err
    assert host.labs() == []


@pytest.fixture(params=["oci", "containerlab"])
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param == "containerlab":
        require_containerlab()
    return str(request.param)


def test_a_node_whose_command_ends_at_once_is_named_with_its_last_words(host: Host) -> None:
    path = _file(host, "    a: {cmd: sh -c 'echo so it goes; exit 4'}\n    b: {cmd: sleep infinity}\n")
    _refused(
        host.nospof("up", path),
        host,
        3,
        "node a: its command ended at once: `sh -c echo so it goes; exit 4`: so it goes",
    )


def test_a_command_that_the_image_does_not_have_is_named(host: Host) -> None:
    _refused(
        host.nospof("up", _file(host, "    a: {cmd: no-such-program}\n")), host, 3, "no-such-program: No such file"
    )


def test_a_user_that_the_image_does_not_have_is_named(host: Host) -> None:
    _refused(host.nospof("up", _file(host, "    a: {user: nobody-here}\n")), host, 3, "node a: user 'nobody-here'")


def test_a_healthcheck_that_never_passes_ends_the_deployment(host: Host) -> None:
    check = "healthcheck: {test: [CMD, 'false'], interval: 1, retries: 2, timeout: 1}"
    waits = "stages: {create: {wait-for: [{node: a, stage: healthy}]}}"
    path = _file(host, f"    a: {{cmd: sleep infinity, {check}}}\n    b: {{cmd: sleep infinity, {waits}}}\n")
    _refused(host.nospof("up", path), host, 3, "node a: its healthcheck failed 2 times in a row")


def test_a_port_of_the_host_s_is_refused_before_anything_is_deployed(host: Host) -> None:
    _refused(host.nospof("up", _file(host, "    a: {ports: ['80:80']}\n")), host, 2, "'ports'")


@pytest.fixture
def taken() -> Iterator[str]:
    """A subnet that some network of Docker's has."""
    require_containerlab()
    subnet = "10.213.0.0/24"
    with engine() as client:
        from docker.types import IPAMConfig, IPAMPool  # noqa: PLC0415

        network = client.networks.create(f"taken{os.getpid()}", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))
        yield subnet
        network.remove()


def test_a_subnet_that_docker_has_given_away_is_named(host: Host, taken: str) -> None:
    head = HEAD.replace(", network-mode: none", "").replace(
        "topology:", f"mgmt: {{{{network: over{os.getpid()}, ipv4-subnet: {taken}}}}}\ntopology:"
    )
    ended = host.nospof("up", _file(host, "    a: {cmd: sleep infinity}\n", head), "--runtime", "containerlab")
    _refused(ended, host, 3, f"Subnet {taken} already in use by Docker network")


def test_an_image_without_room_to_be_built_says_how_much_it_needs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    small = host.files / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        monkeypatch.setenv("NOSPOF_CACHE", str(small))
        _refused(
            host.nospof("image", "build"), host, 3, "MiB free and the image needs 1500: free some, or set NOSPOF_CACHE"
        )
        assert [p for p in small.rglob("*") if p.is_file()] == []
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_being_stopped_in_the_middle_of_a_deploy_leaves_nothing(host: Host, runtime: str, stop: signal.Signals) -> None:
    nodes = "".join(f"    n{i}: {{cmd: sleep infinity, exec: [sleep 30]}}\n" for i in range(4))
    path = _file(host, nodes + "  links: [{endpoints: [n0:eth1, n1:eth1]}, {endpoints: [n2:eth1, n3:eth1]}]\n")
    command = [sys.executable, "-m", "cli", "up", str(path), "--runtime", runtime]
    environment = {**os.environ, "NOSPOF_RUN": str(host.state)}
    # A shell's child of `&` ignores SIGINT, and so would ours: whatever started the tests, the command hears it.
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:  # fmt: skip
        assert process.stderr is not None
        wait_until(lambda: _begun(host, runtime), "the deploy's begin", deadline_s=30)
        process.send_signal(stop)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130, said
    assert "interrupted; what was started has been taken down" in " ".join(said.split())
    assert host.labs() == []
    assert traces(load_topology(path, None)) == []
    if runtime == "containerlab":
        with engine() as client:
            assert of_lab(client, host.lab) == {}


def _begun(host: Host, runtime: str) -> bool:
    """Whether there is something to take back."""
    if runtime == "oci":
        return bool(host.labs())
    with contextlib.suppress(Exception), engine() as client:
        return bool(of_lab(client, host.lab))
    return False
