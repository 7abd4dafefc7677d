"""A wire in user space, spliced into a link behind one of its hooks: a tap, and a process that gives frames back later.

The link's interfaces stay what and where they are; its own program sends frames to the tap (`Lots.detour`) and lets those pass
that came back. Sources: splice.c, splice.bpf.c, tun(4).
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from topologies.image.native import compile_bpf, compile_program
from topologies.impairment import Impairment
from topologies.linux.bpf import Object
from topologies.linux.impair.queue import TUN
from topologies.linux.links import INGRESS
from topologies.linux.netns import inside
from topologies.linux.processes import by_argument, kill_and_wait
from topologies.runtime import RuntimeFailure

HERE = Path(__file__).parent
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_BPF_F_INGRESS = 1
_CONTROL = struct.Struct("=qqQQ6Q")  # struct control of splice.c
_WANTED = struct.Struct("=qqQQ")
_READY_AT = _WANTED.size
_TAP_MTU, _TAP_FRAMES = 9600, 10_000
START_S = 5.0
DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class WireState:
    """What a wire did so far: `frames` sent on, `dropped` for want of room (the wire's own loss), `overflowed` since they came
    faster than its rate for longer than its queue lasts, `held` now, and `late_ns`, the worst time from due to sent."""

    alive: bool
    frames: int = 0
    dropped: int = 0
    overflowed: int = 0
    held: int = 0
    late_ns: int = 0


def _wanted(how: Impairment, rate: int) -> bytes:
    return _WANTED.pack(how.delay_ns, how.jitter_ns, rate, min(round(how.reordering * (1 << 32)), (1 << 32) - 1))


def _open_tap(name: str) -> int:
    fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")  # it is nobody's neighbour
    except OSError:
        os.close(fd)
        raise
    return fd


def _attach(name: str, back: int) -> int:
    with IPRoute() as rtnl:
        (index,) = rtnl.link_lookup(ifname=name)
        rtnl.link("set", index=index, mtu=_TAP_MTU, txqlen=_TAP_FRAMES)
        rtnl.tc("add", "clsact", index=index)
        about = {"handle": 1, "fd": back, "name": "back", "parent": INGRESS, "prio": 1, "direct_action": True}
        rtnl.tc("add-filter", "bpf", index=index, **about)
        rtnl.link("set", index=index, state="up")
        return int(index)


def insert(namespace: Path, control: Path, index: int, *, sending: bool, how: Impairment, rate: int) -> int:
    """A wire for frames that the hook of interface `index` sends round; the index of its tap. It carries nothing before the
    hook is told. Raises RuntimeFailure."""
    name = _tap_name(index, sending=sending)
    program = compile_program(HERE / "splice.c")
    loaded = Object(compile_bpf(HERE / "splice.bpf.c"))
    try:
        target = loaded.map("target")
        target.update(struct.pack("=I", 0), struct.pack("=II", index, 0 if sending else _BPF_F_INGRESS))
        target.close()

        def tap() -> tuple[int, int]:
            fd = _open_tap(name)
            try:
                return fd, _attach(name, loaded.program_fd("back"))
            except BaseException:
                os.close(fd)
                raise

        fd, tap_index = inside(namespace, tap)
    except OSError as error:
        raise RuntimeFailure(f"making the tap {name} of a wire: {error}") from error
    finally:
        loaded.close()
    try:
        control.parent.mkdir(exist_ok=True)
        control.write_bytes(_wanted(how, rate) + bytes(_CONTROL.size - _WANTED.size))
        _start(program, control, fd)
    finally:
        os.close(fd)
    return tap_index


def _tap_name(index: int, *, sending: bool) -> str:
    return f"wire{index}{'o' if sending else 'i'}"


def tap_index(namespace: Path, index: int, *, sending: bool) -> int:
    """The index of the tap of a wire that is there. Raises RuntimeFailure when it is not."""

    def body() -> list[int]:
        with IPRoute() as rtnl:
            return list(rtnl.link_lookup(ifname=_tap_name(index, sending=sending)))

    found = inside(namespace, body)
    if not found:
        raise RuntimeFailure("the wire in user space has lost its tap")
    return found[0]


def _start(program: Path, control: Path, fd: int) -> None:
    log = control.with_suffix(".log")
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, control, str(fd)],
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    tick, end = threading.Event(), time.monotonic() + START_S
    with _mapped(control) as page:
        while not page[_READY_AT]:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise RuntimeFailure(f"the wire in user space did not start: {log.read_text().strip() or 'no word'}")
            tick.wait(0.002)


@contextlib.contextmanager
def _mapped(control: Path) -> Iterator[mmap.mmap]:
    with control.open("r+b") as file, mmap.mmap(file.fileno(), _CONTROL.size) as page:
        yield page


def change(control: Path, how: Impairment, rate: int) -> None:
    """Has frames that come from now on wait as `how` says."""
    with _mapped(control) as page:
        page[: _WANTED.size] = _wanted(how, rate)


def look(control: Path) -> WireState:
    """What the wire did so far."""
    alive = bool(_processes(control))
    with contextlib.suppress(FileNotFoundError, ValueError), _mapped(control) as page:
        _, _, _, _, _, frames, dropped, overflowed, held, late = _CONTROL.unpack(page[:])
        return WireState(alive, frames, dropped, overflowed, held, late)
    return WireState(alive)


def take_out(control: Path, longest_ns: int) -> None:
    """Ends the wire once it has sent on what it holds, which takes as long as its longest delay. The hook must send it nothing
    any more."""
    handles = []
    for pid in _processes(control):
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    try:
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
        for handle in handles:
            waiting = select.poll()  # select(2) knows no descriptor beyond 1,023
            waiting.register(handle, select.POLLIN)
            if not waiting.poll(longest_ns / 1e6 + DRAIN_S * 1e3):
                kill_and_wait(_processes(control))
    finally:
        for handle in handles:
            os.close(handle)
    for path in (control, control.with_suffix(".log")):
        path.unlink(missing_ok=True)


def _processes(control: Path) -> list[int]:
    """Pids of the wire with this control file, or of all with one in this folder."""
    return by_argument(("splice",), control)


def end_all(folder: Path) -> None:
    """Kills every wire whose control file is in this folder. Raises RuntimeFailure."""
    kill_and_wait(_processes(folder))
