"""Interfaces of a lab by netlink: veth pairs between namespaces, their offloads, their wires. Decides no names or numbers."""

from __future__ import annotations

import array
import contextlib
import fcntl
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyroute2 import IPRoute

from topologies.linux import netlink
from topologies.linux.ends import End
from topologies.linux.netns import inside

SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
ETHTOOL_SGRO = 0x2C
INGRESS = 0xFFFFFFF2
EGRESS = 0xFFFFFFF3
BASE_SYSCTLS = (
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.keep_addr_on_down", "1"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
)
"""Link-local addresses without waiting for duplicates that cannot be, and kept through a link's fall. What a new namespace would take
from the host (ip-sysctl, devconf_inherit_init_net) is set, so that a lab is the same on every host: forwarding, which Docker turns on
there, and no filter by the way back, the kernel's own default. A node's file has the last word."""
ORPHAN_RETRIES = "net.ipv4.tcp_orphan_retries"
"""How often the kernel sends what a process left in its connections, before it forgets them (ip-sysctl); 0: eight times."""
_SENDING_FIN = ("04", "09", "0B")  # FIN_WAIT1, LAST_ACK, CLOSING
FORGOTTEN_S = 2.0
IFF_UP = 1
RTPROT_STATIC = 4  # rtnetlink(7): higher numbers are routing daemons


def _ethtool(sock: socket.socket, interface: str, command: int, value: int) -> None:
    data = array.array("B", struct.pack("=II", command, value))
    address, _ = data.buffer_info()
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", interface.encode(), address) + bytes(16))


def write_sysctls(namespace: Path, settings: Sequence[tuple[str, str]]) -> None:
    """Writes net.* settings inside the namespace. Raises OSError naming the one that the kernel does not have."""

    def body() -> None:
        for name, value in settings:
            path = Path("/proc/sys") / name.replace(".", "/")
            try:
                path.write_text(value)
            except OSError as error:
                raise OSError(error.errno, f"sysctl {name}={value}: {error.strerror}") from error

    inside(namespace, body)


def forget_connections(namespace: Path) -> None:
    """Has the kernel forget within a second what killed processes leave in their connections."""
    with contextlib.suppress(OSError):  # of a kernel that sets it for the whole host only
        write_sysctls(namespace, [(ORPHAN_RETRIES, "1")])


def connections_forgotten(own: Mapping[Path, str]) -> None:
    """Returns once nothing of them is left in any of these namespaces, or after two seconds; from then on each is sent as often as the
    namespace's own setting says."""
    tick, end = threading.Event(), time.monotonic() + FORGOTTEN_S
    for namespace, setting in own.items():
        while inside(namespace, _orphans) and time.monotonic() < end:
            tick.wait(0.05)
        with contextlib.suppress(OSError):
            write_sysctls(namespace, [(ORPHAN_RETRIES, setting)])


def _orphans() -> int:
    """How many connections the kernel still closes for processes that are gone, by proc(5)'s net/tcp."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in _rows(Path(f"/proc/thread-self/net/{name}"))]
    return sum(1 for row in rows if row[3] in _SENDING_FIN and row[9] == "0")


def _rows(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except OSError:  # a host without IPv6
        return []


def make_links(namespace: Path, pairs: Sequence[tuple[End, End, int]]) -> None:
    """The veth pairs whose first end lives in `namespace`; third: a descriptor of the peer's namespace."""

    def body() -> None:
        with IPRoute() as rtnl:
            for end, peer, peer_ns in pairs:
                # The library's own `peer=` drops the peer's index, and indices must be ours at both ends.
                names = (
                    ("IFLA_IFNAME", peer.interface),
                    ("IFLA_MTU", peer.mtu),
                    ("IFLA_ADDRESS", peer.mac),
                    ("IFLA_NET_NS_FD", peer_ns),
                )
                data = {"attrs": [("VETH_INFO_PEER", {"index": peer.index, "attrs": names})]}
                info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
                rtnl.link(
                    "add", ifname=end.interface, index=end.index, mtu=end.mtu, address=end.mac, IFLA_LINKINFO=info
                )

    inside(namespace, body)


Wires = Callable[[End], Sequence[bytes]]
"""The requests that put a wire on an end."""


def equip(namespace: Path, ends: Sequence[End], wires: Wires) -> None:
    """Offloads and wires (see `wire_requests`) for every end in the namespace.

    GRO on: an XDP program's redirected frames are only received by a veth whose NAPI runs. It has to be on at both ends before
    either comes up, or be turned on when both are up: a veth looks at its peer only then, and would refuse to be a redirect's
    target for good. TX checksums in software, as containerlab does: an encapsulated packet must not carry a checksum that a
    card was to finish.
    """

    def body() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for end in ends:
                _ethtool(control, end.interface, ETHTOOL_STXCSUM, 0)
                _ethtool(control, end.interface, ETHTOOL_SGRO, 1)
        netlink.send([request for end in ends for request in wires(end)])

    inside(namespace, body)


def wire_requests(wire_in: int, wire_out: int) -> Wires:
    """Made from descriptors of the programs at ingress and egress."""

    def made(label: int) -> list[bytes]:
        named = {"classid": label} if label else {}

        def attach(parent: int, fd: int, name: str) -> bytes:
            about = {"handle": 1, "fd": fd, "name": name, "parent": parent, "prio": 1, "direct_action": True, **named}
            return netlink.compiled(lambda batch: batch.tc("add-filter", "bpf", index=1, **about))

        return [
            netlink.compiled(lambda batch: batch.tc("add", "clsact", index=1)),
            attach(INGRESS, wire_in, "wire_in"),
            attach(EGRESS, wire_out, "wire_out"),
        ]

    common = made(0)  # compiled once: a lab of a hundred ends would else spend most of its start here
    return lambda end: netlink.for_each(made(end.label) if end.label else common, [end.index])


def bring_up(namespace: Path, ends: Sequence[End]) -> None:
    """Carrier for lo and every end in the namespace; `equip` comes first, for all namespaces."""
    up = netlink.compiled(lambda batch: batch.link("set", index=1, state="up"))
    inside(namespace, lambda: netlink.send(netlink.for_each([up], [1, *(end.index for end in ends)])))


def set_state(namespace: Path, end: End, state: str) -> None:
    """Takes an end up or down; its peer gains or loses carrier."""
    request = netlink.compiled(lambda batch: batch.link("set", index=end.index, state=state))
    inside(namespace, lambda: netlink.send([request]))


def is_running(namespace: Path, end: End) -> bool:
    """Whether the end is up and has carrier."""

    def body() -> bool:
        with IPRoute() as rtnl:
            return any(link.get_attr("IFLA_OPERSTATE") == "UP" for link in rtnl.get_links(end.index))

    return inside(namespace, body)


def is_set_up(namespace: Path, end: End) -> bool:
    """Whether somebody wants the end up, carrier or not."""

    def body() -> bool:
        with IPRoute() as rtnl:
            return any(link["flags"] & IFF_UP for link in rtnl.get_links(end.index))

    return inside(namespace, body)


def save_static(namespace: Path) -> list[bytes]:
    """The routes that nobody but their maker would put back, for `restore_static`: a kernel drops them with their interface."""
    saved = []
    for family in ("-4", "-6"):
        for proto in ("boot", "static"):
            command = ["nsenter", f"--net={namespace}", "ip", family, "route", "save", "table", "all", "proto", proto]
            saved.append(subprocess.run(command, check=False, capture_output=True).stdout)
    return saved


def restore_static(namespace: Path, saved: Sequence[bytes]) -> None:
    """Puts back what `save_static` kept; what is still there stays."""
    for kept in saved:
        if len(kept) <= 4:  # nothing but the format's mark
            continue
        with tempfile.TemporaryFile() as file:  # it seeks, which no pipe can
            file.write(kept)
            file.seek(0)
            command = ["nsenter", f"--net={namespace}", "ip", "route", "restore"]
            subprocess.run(command, stdin=file, check=False, capture_output=True)


def detach_xdp(namespace: Path, ends: Sequence[End]) -> None:
    """Takes XDP programs off every end: a killed node's kernel must not forward for it."""

    def body() -> None:
        with IPRoute() as rtnl:
            for end in ends:
                rtnl.link("set", index=end.index, xdp_fd=-1)

    inside(namespace, body)


def received_frames(namespace: Path, indices: Sequence[int]) -> int:
    """Frames that these interfaces have received, summed, by the kernel's own counters."""

    def body() -> int:
        with IPRoute() as rtnl:
            found = [link for index in indices for link in rtnl.get_links(index)]
            return sum(int(link.get_attr("IFLA_STATS64")["rx_packets"]) for link in found)

    return inside(namespace, body)


def flush_dynamic(namespace: Path) -> None:
    """Removes the routes that a dead node's daemons left behind (whatever the kernel did not make itself)."""

    def body() -> set[tuple[int, int]]:
        with IPRoute() as rtnl:
            return {(route["family"], route["proto"]) for route in rtnl.get_routes() if route["proto"] > RTPROT_STATIC}

    for family, proto in sorted(inside(namespace, body)):
        flag = "-6" if family == socket.AF_INET6 else "-4"
        command = ["nsenter", f"--net={namespace}", "ip", flag, "route", "flush", "table", "all", "proto", str(proto)]
        subprocess.run(command, check=False, capture_output=True)
