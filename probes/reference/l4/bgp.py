"""Has FRR's bgpd announce and withdraw prefixes. It must not know why.

The router configuration provides `no bgp network import-check` and the route-maps that `Announcement` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from .announce import Announcement, changes
from .config import Vip

BGPD_SOCKET = Path("/run/frr/bgpd.vty")
_DEADLINE_S = 2.0


class BgpError(Exception):
    """FRR could not be told; the message holds its own words."""


class BgpRefused(BgpError):
    """bgpd was there and said no."""


def commands(vip: Vip, how: Announcement) -> list[str]:
    """The configuration lines for one VIP, below `router bgp`."""
    prefix = f"{vip}/{vip.max_prefixlen}"
    line = f"no network {prefix}" if how is Announcement.NONE else f"network {prefix} route-map {how.value}"
    return [f"address-family ipv{vip.version} unicast", line, "exit-address-family"]


async def _vtysh(lines: list[str], asn: int) -> None:
    head = ["configure terminal", f"router bgp {asn}"]
    argv = [part for line in head + lines for part in ("-c", line)]
    process = await asyncio.create_subprocess_exec(
        "vtysh", "-d", "bgpd", *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise BgpError(f"vtysh had not answered after {_DEADLINE_S:g} s: {'; '.join(lines)}") from None
    if process.returncode:
        raise BgpRefused(f"bgpd refused '{'; '.join(lines)}': {said.decode(errors='replace').strip()}")


class Announcer:
    """Remembers what bgpd was told and confirmed; forgets it when bgpd has been restarted, whose configuration then is the file's."""

    def __init__(
        self,
        asn: int,
        socket_path: Path = BGPD_SOCKET,
        told: Callable[[Vip, Announcement], None] | None = None,
    ) -> None:
        self._asn, self._socket, self._told = asn, socket_path, told
        self._instance: tuple[int, int] | None = None
        self.done: dict[Vip, Announcement] = {}
        self._lock = asyncio.Lock()

    def _current_instance(self) -> tuple[int, int] | None:
        """Bgpd makes its socket anew whenever it starts."""
        try:
            found = os.stat(self._socket)  # noqa: PTH116 - called at every check's tick
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns

    def settled(self, wanted: Mapping[Vip, Announcement]) -> bool:
        """Whether bgpd runs and has been told all of it."""
        instance = self._current_instance()
        return instance is not None and instance == self._instance and not changes(wanted, self.done)

    async def apply(self, decide: Callable[[], Mapping[Vip, Announcement]]) -> None:
        """Tells bgpd what it has not been told yet, in one session. Raises BgpError where it does not run or refuses.

        What is wanted is asked when it is this caller's turn, so that no older decision overwrites a newer one.
        """
        async with self._lock:
            wanted = decide()
            instance = self._current_instance()
            if instance is None:
                raise BgpError(f"bgpd is not running: {self._socket} is missing")
            if instance != self._instance:
                self._instance, self.done = instance, {}
            todo = list(changes(wanted, self.done))
            for vip, how in todo:
                if how is Announcement.NONE and vip not in self.done:
                    # An earlier agent may have left it announced; bgpd refuses where it is not there.
                    with contextlib.suppress(BgpRefused):
                        await _vtysh(commands(vip, how), self._asn)
                    self._is_done(vip, how)
            lines = [line for vip, how in changes(wanted, self.done) for line in commands(vip, how)]
            if lines:
                due = list(changes(wanted, self.done))
                # Whoever did not answer in time may have done it all the same, or some of it: until it has answered, nothing is
                # known, and what is wanted next is said anew, even if it is what was so before.
                for vip, _ in due:
                    self.done.pop(vip, None)
                await _vtysh(lines, self._asn)
                for vip, how in due:
                    self._is_done(vip, how)

    def _is_done(self, vip: Vip, how: Announcement) -> None:
        self.done[vip] = how
        if self._told is not None:
            self._told(vip, how)
