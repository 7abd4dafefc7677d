"""The instrument never rides the network it measures: requests leave from the lab, the channel never leaves the host."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import zmq

from tests.probes.conftest import ROOT
from tests.probes.load.conftest import load_run, namespaces, site, sockets, wait_until
from tests.probes.wire import CLIENT, SERVER, Wire

pytestmark = pytest.mark.lab

WORKER = """
import sys
from pathlib import Path
from locust import User, task
from locust.env import Environment
from probes.load.channel import NamespacedWorker

class Idle(User):
    @task
    def idle(self):
        pass

NamespacedWorker(Environment(user_classes=[Idle]), int(sys.argv[1]), Path(sys.argv[2])).greenlet.join()
"""


def test_requests_leave_from_the_namespace_and_the_channel_from_the_hosts_loopback(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "c") as run:
        worker, here = run.pids["c"], os.getpid()
        wait_until(lambda: len(sockets(worker, seen_from=worker)) == 2, "a connection of each user")
        inside = sockets(worker, seen_from=worker)
        assert {(s.local, s.remote, s.remote_port) for s in inside} == {(CLIENT, SERVER, 80)}
        outside = sockets(worker, seen_from=here)
        assert {(s.local, s.remote) for s in outside} == {("127.0.0.1", "127.0.0.1")}
        assert len(outside) == 1
        assert sockets(run.pids["master"], seen_from=here)
        host, client = (str(Path(f"/proc/{pid}/ns/net").readlink()) for pid in (here, worker))
        assert host != client
        threads = namespaces(worker)
        assert {where for name, where in threads.items() if name.startswith("ZMQ")} == {host}
        assert {where for name, where in threads.items() if not name.startswith("ZMQ")} == {client}


def test_a_channel_that_breaks_comes_back_on_the_hosts_side(lab: Wire, scratch: Path) -> None:
    site(lab)
    with load_run(lab, scratch, "c") as run:
        worker, here = run.pids["c"], os.getpid()
        (before,) = sockets(worker, seen_from=here)
        subprocess.run(["ss", "-K", "dst", "127.0.0.1", "dport", "=", str(before.remote_port)], check=True)
        wait_until(lambda: {s.inode for s in sockets(worker, here)} not in ({before.inode}, set()), "a new connection")
        (after,) = sockets(worker, seen_from=here)
        assert (after.remote, after.remote_port) == ("127.0.0.1", before.remote_port)
        assert {s.remote for s in sockets(worker, seen_from=worker)} == {SERVER}
        since = time.monotonic_ns()
        wait_until(lambda: len(run.requests("c", since, time.monotonic_ns())) >= 20, "requests go on")
        assert run.missing() == ""


def test_locusts_own_reset_of_the_channel_stays_on_the_host(lab: Wire) -> None:
    """Locust makes a new client on a `reconnect`: with a new context its threads would be born in the namespace."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as master:
        master.setsockopt(zmq.ROUTER_HANDOVER, 1)
        port = master.bind_to_random_port("tcp://127.0.0.1")
        argv = [sys.executable, "-c", WORKER, str(port), str(lab.netns("c"))]
        worker = subprocess.Popen(argv, cwd=ROOT)
        lab.processes.append(worker)
        identity = expect(master, "client_ready")
        tell(master, identity, "ack", {"index": 0})
        expect(master, "heartbeat")
        (before,) = sockets(worker.pid, seen_from=os.getpid())
        tell(master, identity, "reconnect", None)
        wait_until(
            lambda: before.inode not in {s.inode for s in sockets(worker.pid, os.getpid())}, "the old connection's end"
        )
        assert expect(master, "heartbeat") == identity
        (after,) = sockets(worker.pid, seen_from=os.getpid())
        assert after.inode != before.inode
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
