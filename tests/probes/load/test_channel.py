"""The instrument never rides the network it measures: requests leave from the lab, the channel never leaves the host."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import zmq

from tests.probes.conftest import ROOT
from tests.probes.load.conftest import listening, load_run, namespaces, shut, site, sockets, unix_sockets, wait_until
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

WORKER = """
import sys
from pathlib import Path
from locust import User, task
from locust.env import Environment
from probes.load.channel import NamespacedWorker, meet_by_path

class Idle(User):
    @task
    def idle(self):
        pass

meet_by_path()
NamespacedWorker(Environment(user_classes=[Idle]), sys.argv[1], Path(sys.argv[2])).greenlet.join()
"""


def test_requests_leave_from_the_namespace_and_the_channel_is_a_unix_socket_of_the_hosts(
    lab: Wire, scratch: Path
) -> None:
    site(lab)
    with load_run(lab, scratch, "c") as run:
        worker, here = run.pids["c"], os.getpid()
        wait_until(lambda: len(sockets(worker, seen_from=worker)) == 2, "a connection of each user")
        inside = sockets(worker, seen_from=worker)
        assert {(s.local, s.remote, s.remote_port) for s in inside} == {(CLIENT, SERVER, 80)}
        assert sockets(worker, seen_from=here) == set()
        assert len(unix_sockets(worker, seen_from=here)) == 1
        assert unix_sockets(worker, seen_from=worker) == set()
        host, client = (str(Path(f"/proc/{pid}/ns/net").readlink()) for pid in (here, worker))
        assert host != client
        threads = namespaces(worker)
        assert {where for name, where in threads.items() if name.startswith("ZMQ")} == {host}
        assert {where for name, where in threads.items() if not name.startswith("ZMQ")} == {client}


def test_nobody_else_on_the_host_can_reach_the_master(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch / "load", "c") as run:
        assert listening(run.pids.values(), seen_from=os.getpid()) == []
        meeting = scratch / "load/master"
        assert meeting.is_socket()
        assert stat.S_IMODE(meeting.parent.stat().st_mode) == 0o700
        assert meeting.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) == 0
        knock = f"socket.socket(socket.AF_UNIX).connect({str(meeting)!r})"
        as_root = [sys.executable, "-c", f"import socket; {knock}"]
        assert subprocess.run(as_root, check=False).returncode == 0
        scratch.chmod(0o755)  # what is above does not help
        as_nobody = [sys.executable, "-c", f"import os, socket; os.setgid(65534); os.setuid(65534); {knock}"]
        refused = subprocess.run(as_nobody, check=False, capture_output=True, text=True)
        assert "PermissionError" in refused.stderr
        assert run.missing() == ""


def test_a_channel_that_breaks_comes_back_on_the_hosts_side(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "c") as run:
        worker, here = run.pids["c"], os.getpid()
        before = unix_sockets(worker, seen_from=here)
        shut(worker, *before)
        wait_until(lambda: unix_sockets(worker, seen_from=here) - before != set(), "a new connection")
        assert len(unix_sockets(worker, seen_from=here)) == 1
        assert {s.remote for s in sockets(worker, seen_from=worker)} == {SERVER}
        since = time.monotonic_ns()
        wait_until(lambda: len(run.requests("c", since, time.monotonic_ns())) >= 20, "requests go on")
        assert run.missing() == ""


def test_locusts_own_reset_of_the_channel_stays_on_the_host(lab: Wire, scratch: Path) -> None:
    """Locust makes a new client on a `reconnect`: with a new context its threads would be born in the namespace."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as master:
        master.setsockopt(zmq.ROUTER_HANDOVER, 1)
        master.bind(f"ipc://{scratch}/m")
        argv = [sys.executable, "-c", WORKER, f"{scratch}/m", str(lab.netns("c"))]
        worker = subprocess.Popen(argv, cwd=ROOT)
        lab.processes.append(worker)
        identity = expect(master, "client_ready")
        tell(master, identity, "ack", {"index": 0})
        expect(master, "heartbeat")
        before = unix_sockets(worker.pid, seen_from=os.getpid())
        assert len(before) == 1
        tell(master, identity, "reconnect", None)
        wait_until(lambda: not before & unix_sockets(worker.pid, os.getpid()), "the old connection's end")
        assert expect(master, "heartbeat") == identity
        assert len(unix_sockets(worker.pid, seen_from=os.getpid()) - before) == 1
        assert unix_sockets(worker.pid, seen_from=worker.pid) == set()
        assert sockets(worker.pid, seen_from=worker.pid) == set()


def expect(master: zmq.Socket[bytes], kind: str, deadline_s: float = 30.0) -> bytes:
    """The sender of the next message of this kind."""
    end = time.monotonic() + deadline_s
    while master.poll(max(0, int((end - time.monotonic()) * 1000)), select.POLLIN):
        sender, packed = master.recv_multipart()
        if msgpack.loads(packed)[0] == kind:
            return sender
    raise AssertionError(f"no {kind} within {deadline_s:g} s")


def tell(master: zmq.Socket[bytes], worker: bytes, kind: str, data: object) -> None:
    master.send_multipart([worker, msgpack.dumps((kind, data, worker.decode()))])
