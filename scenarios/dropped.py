"""Where packets of a lab were dropped: brings the detector of `probes.drops` and this machine's kernel together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from socket import if_nameindex

from probes.drops.counters import Counts, counted
from probes.drops.kernel import KernelDrops, Unavailable
from probes.drops.reasons import Reasons
from probes.drops.symbols import Symbols
from topologies.image.native import CompileError, compile_bpf
from topologies.linux import counting
from topologies.linux.bpf import BpfError, Object, RingBuffer
from topologies.linux.btf import KernelTypes
from topologies.linux.netns import inside

SOURCE = Path(__file__).resolve().parents[1] / "probes/native/drops.bpf.c"
_TOLD_REASON, _TOLD_SOCKET = 3, 4  # arguments of the tracepoint: packet, place, reason (Linux 5.17), socket (6.11)
_PROGRAMS = {_TOLD_REASON: "dropped", _TOLD_SOCKET: "dropped_at_socket"}


def kernel_drops(namespaces: Mapping[str, Path]) -> KernelDrops:
    """The detector for these nodes (node → path of its namespace), to be entered."""
    return KernelDrops(namespaces, LinuxHost())


def count_drops(namespaces: Mapping[str, Path]) -> dict[str, Counts]:
    """Every node's counters of drops now, to be compared with later ones (`counters.difference`). A node whose namespace is
    gone is left out."""
    found: dict[str, Counts] = {}
    for node, namespace in namespaces.items():
        try:
            found[node] = counted(counting.read(namespace))
        except FileNotFoundError:
            continue
    return found


def program_for(arguments: int | None, reasons: Mapping[str, int]) -> str:
    """Which program suits a tracepoint with so many arguments and this enum of reasons. Raises Unavailable."""
    if arguments is None:
        raise Unavailable(
            "this kernel has no tracepoint skb:kfree_skb, or was built without BTF (CONFIG_DEBUG_INFO_BTF)"
        )
    if arguments < _TOLD_REASON or not reasons:
        raise Unavailable("this kernel does not say why it drops a packet; Linux 5.17 and later do")
    return _PROGRAMS[min(arguments, _TOLD_SOCKET)]


class LinuxHost:
    """The running kernel."""

    def __init__(self) -> None:
        self._reasons = Reasons({}, {})

    def start(self) -> Tracing:
        try:
            with KernelTypes() as types:
                reasons = types.enum("skb_drop_reason")
                self._reasons = Reasons.of(reasons, types.enum("skb_drop_reason_subsys"))
                program = program_for(types.tracepoint_arguments("kfree_skb"), reasons)
            return Tracing(program)
        except (BpfError, CompileError) as error:
            raise Unavailable(f"the kernel's drops cannot be watched: {error}") from error

    def reasons(self) -> Reasons:
        return self._reasons

    def symbols(self) -> Symbols:
        """Empty where the kernel hides them."""
        try:
            return Symbols.of(Path("/proc/kallsyms").read_text(encoding="ascii", errors="replace"))
        except OSError:
            return Symbols()

    def interfaces(self, namespace: Path) -> dict[int, str]:
        return inside(namespace, lambda: dict(if_nameindex()))


class Tracing:
    """The program at the tracepoint. Raises BpfError or CompileError when it cannot be had."""

    def __init__(self, program: str) -> None:
        others = [name for name in _PROGRAMS.values() if name != program]
        self._object = Object(compile_bpf(SOURCE), without=others)
        self._namespaces, self._lost, self._drops = map(self._object.map, ("namespaces", "drops_lost", "drops"))
        self._ring = RingBuffer(self._drops)
        try:
            self._object.attach(program)
        except BpfError:
            self.close()
            raise

    def watch(self, inodes: frozenset[int]) -> None:
        wanted = {inode.to_bytes(4, "little") for inode in inodes}
        for key in {*self._namespaces.keys()} - wanted:
            self._namespaces.delete(key)
        for key in wanted:
            self._namespaces.update(key, b"\1")

    def read(self) -> list[bytes]:
        return self._ring.read()

    def lost(self) -> int:
        return int.from_bytes(self._lost.get(bytes(4)) or b"\0", "little")

    def close(self) -> None:
        self._ring.close()
        for held in (self._namespaces, self._lost, self._drops):
            held.close()
        self._object.close()
