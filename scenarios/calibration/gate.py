"""The gate on an interface (probes/native/gate.bpf.c): given a plan, it closes and opens by itself. It must not know the prober."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from probes.calibration import Hole, Planned
from topologies.image.native import compile_bpf
from topologies.linux.bpf import BpfError, Map, Object
from topologies.linux.netns import inside

SOURCE = Path(__file__).resolve().parents[2] / "probes/native/gate.bpf.c"
MOST = 256
_HOLE = struct.Struct("=7Q")  # close, open; closed between, opened between; dropped
_GATE = struct.Struct("=16xIIII")  # the timer; next, holes, closed, refused
_KEY = struct.Struct("=I")
_INGRESS = 0xFFFFFFF2
_PRIORITY = 64  # behind the lab's wires, which leave a frame to whoever comes next
_HANDLE = 0x6761


class Gate:
    """A context manager: at the ingress of `interface` in the namespace `netns` from when it is entered to when it is left."""

    def __init__(self, netns: Path, interface: str) -> None:
        self._netns = netns
        self._interface = interface
        self._count = 0

    def __enter__(self) -> Self:
        """Raises BpfError or OSError where the kernel refuses."""
        self._object = Object(compile_bpf(SOURCE))
        try:
            # The timer goes when nobody but the kernel holds its map: a harness that is killed leaves a gate that stays as it is.
            self._holes, self._gates = self._object.map("holes"), self._object.map("gates")
            self._made_qdisc = inside(self._netns, self._attach)
        except BaseException:
            self._object.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        inside(self._netns, self._detach)
        for one in (self._holes, self._gates):
            one.close()
        self._object.close()

    def run(self, holes: Sequence[Planned]) -> None:
        """Hands the plan to the kernel, which carries it out alone. Raises ValueError for holes that it cannot, BpfError."""
        if not 0 < len(holes) <= MOST:
            raise ValueError(f"{len(holes)} holes: 1 to {MOST} can be planned at once")
        self._count = len(holes)
        for number, hole in enumerate(holes):
            self._holes.update(_KEY.pack(number), _HOLE.pack(hole.close_ns, hole.open_ns, 0, 0, 0, 0, 0))
        self._gates.update(_KEY.pack(0), _GATE.pack(0, len(holes), 0, 0))
        code = self._object.run("start")
        if code != 0:
            raise BpfError(errno.EINVAL, f"the gate's timer was refused at step {code}")

    def done(self) -> int:
        """How many of the holes have been."""
        return _unpacked(self._gates, 0, _GATE)[0]

    def refused(self) -> bool:
        """Whether the kernel refused the timer in mid-plan; then no further hole will be."""
        return _unpacked(self._gates, 0, _GATE)[3] > 0

    def holes(self) -> tuple[Hole, ...]:
        """Those that have been, in order."""
        return tuple(_hole(*_unpacked(self._holes, number, _HOLE)[2:]) for number in range(self.done()))

    def _attach(self) -> bool:
        with IPRoute() as rtnl:
            found = rtnl.link_lookup(ifname=self._interface)
            if not found:
                raise OSError(errno.ENODEV, f"no interface {self._interface} in {self._netns}")
            index, made = found[0], True
            try:
                rtnl.tc("add", "clsact", index=index)
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
                made = False
            rtnl.tc(
                "add-filter",
                "bpf",
                index=index,
                handle=_HANDLE,
                fd=self._object.program_fd("gate"),
                name="gate",
                parent=_INGRESS,
                prio=_PRIORITY,
                direct_action=True,
            )
        return made

    def _detach(self) -> None:
        with IPRoute() as rtnl:
            found = rtnl.link_lookup(ifname=self._interface)
            if found and self._made_qdisc:
                rtnl.tc("del", "clsact", index=found[0])
            elif found:
                rtnl.tc("del-filter", "bpf", index=found[0], handle=_HANDLE, parent=_INGRESS, prio=_PRIORITY)


def _unpacked(of: Map, number: int, layout: struct.Struct) -> tuple[int, ...]:
    raw = of.get(_KEY.pack(number))
    if raw is None:
        raise BpfError(errno.ENOENT, f"the gate's map has no entry {number}")
    return layout.unpack(raw)


def _hole(closed: int, closed_by: int, opened: int, opened_by: int, dropped: int) -> Hole:
    return Hole(
        closed_ns=(closed + closed_by) // 2,
        opened_ns=(opened + opened_by) // 2,
        acc_ns=-(-max(closed_by - closed, opened_by - opened) // 2),
        dropped=dropped,
    )
