"""The L4 node's agent: joins health, data plane and announcements. It must not know how any of the three works inside.

Killed, it leaves the program forwarding with the last tables; started again it fills a new program's tables first and
then replaces the old one in one step. A drain or withdrawal ends with the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from bpf import BpfError
from node.control import Reply
from node.drop_maps import Teller
from node.events import Events

from .announce import Announcement, Drain, Mode, Serving, decide, serving, settling
from .bgp import BGPD_SOCKET, Announcer, BgpError
from .config import L4Config, Vip
from .counters import REASONS
from .dataplane import DataPlane
from .health import Checker
from .routes import RouteWatch, Way

_LAST_DRAIN = Drain(0, quiet_ns=300_000_000, deadline_ns=1_500_000_000)  # at SIGTERM: an init waits only a few seconds


def say(sentence: str) -> None:
    """One line for whoever reads the node's log."""
    print(f"l4.agent: {sentence}", file=sys.stderr, flush=True)


class Agent:
    """One node's state, and the two places that change it: `swap` its tables, `reconcile` everything else."""

    def __init__(
        self, config: L4Config, plane: DataPlane, bgpd_socket: Path = BGPD_SOCKET, events: Events | None = None
    ) -> None:
        self.config, self.plane = config, plane
        self.events = events or Events("l4")
        self.announcer = Announcer(config.asn, bgpd_socket, self._told)
        self.mode = Mode.NORMAL
        self.drained = False
        self._serving: Serving | None = None
        self._attached = False
        self._swap_is_due = False
        self._changed_ns = 0
        self._due = asyncio.Event()
        self._mode_changed = asyncio.Event()
        self._complaint = ""
        self.checkers = [
            Checker(service, backend, config.timing, config.loopback, self._health_changed)
            for service in config.services
            for backend in config.backends
        ]
        watched = [*config.uplinks, *(backend.address for backend in config.backends)]
        self.routes = RouteWatch(watched, self._route_changed)
        self._teller = Teller(plane.drop_maps(), self.events, REASONS)

    @property
    def healthy(self) -> Mapping[str, frozenset[str]]:
        """Service → backends in the tables now; nothing before the first decision."""
        return self._serving.ring if self._serving else {}

    def wanted(self) -> dict[Vip, Announcement]:
        """What every VIP's announcement has to be now."""
        assert self._serving is not None
        return decide(self.config, self.mode, self._attached, self._serving.ring)

    def _told(self, vip: Vip, how: Announcement) -> None:
        self.events.emit("withdraw" if how is Announcement.NONE else "announce", f"{vip} {how.value}")

    def _health_changed(self, checker: Checker) -> None:
        what = "healthy" if checker.health.up else "unhealthy"
        what = "draining" if checker.health.draining else what
        self.events.emit(what, f"{checker.backend.name} for {checker.service.name}")
        self._swap_soon()

    def _route_changed(self, address: IPv4Address, way: Way) -> None:
        """No route: down for every service at once. A route again: the checks decide, after a flap as if nothing were."""
        names = [backend.name for backend in self.config.backends if backend.address == address]
        self.events.emit("routed" if way.routed else "unrouted", names[0] if names else f"uplink {address}")
        for checker in self.checkers:
            if checker.backend.address == address:
                checker.overtake()
                if way.routed and not way.was_a_flap(time.monotonic_ns()):
                    checker.forget()
        self._swap_soon()

    @property
    def isolated(self) -> bool:
        """Whether it is this node that is cut off: then no backend's silence means anything, and nobody hears it."""
        uplinks = self.config.uplinks
        return bool(uplinks) and not any(self.routes.routed(address) for address in uplinks)

    def _swap_soon(self) -> None:
        """In this turn of the loop, but once: one event may change several backends and services."""
        if not self._swap_is_due:
            self._swap_is_due = True
            asyncio.get_running_loop().call_soon(self._swap_now)

    def _swap_now(self) -> None:
        self._swap_is_due = False
        self._due.set()
        with contextlib.suppress(BpfError):  # reconciling tries again, and says what is wrong
            self.swap()

    def _up(self, checker: Checker) -> bool | None:
        return checker.health.up if self.routes.routed(checker.backend.address) else False

    def swap(self) -> None:
        """Writes what health asks for into the tables. It waits for nobody: bgpd may be slow to answer. Raises BpfError."""
        if self.isolated:
            return
        draining = {checker.backend.name for checker in self.checkers if checker.health.draining}
        health = {(c.service.name, c.backend.name): self._up(c) for c in self.checkers}
        found = serving(self.config, health, draining)
        if found is None or found == self._serving:
            return
        self.plane.serve(found.ring, found.pinned)
        self._serving, self._changed_ns = found, time.monotonic_ns()
        parts = (f"{name}: {', '.join(sorted(names)) or 'nobody'}" for name, names in found.ring.items())
        said = "; ".join(parts)
        self.events.emit("table", said)
        say(f"new flows go to {said}")

    async def reconcile(self) -> None:
        """Makes tables, program and announcements what health and mode ask for.

        In this order, so that no VIP is announced before its packets are forwarded.
        """
        self.swap()
        if self._serving is None:
            return
        self._attached = self.plane.attach()
        if not self.isolated and not self._settling:
            await self.announcer.apply(self.wanted)

    @property
    def _settling(self) -> bool:
        whole = all(self._up(checker) for checker in self.checkers)
        return settling(self.announcer.done, self.wanted(), whole, time.monotonic_ns() - self._changed_ns)

    async def _attempt(self) -> None:
        """Reconciles; what fails is said once and tried again at the next tick."""
        complaint = ""
        try:
            await self.reconcile()
        except (BgpError, BpfError, OSError) as error:
            complaint = str(error)
        if complaint != self._complaint:
            say(complaint or "all is well again")
            self._complaint = complaint

    async def run(self) -> None:
        """Checks and reconciles until cancelled; reconciling never keeps checks waiting."""
        self.routes.start(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reconciled())
            group.create_task(self._teller.run(say))
            await self._keep_checking(group)

    async def _keep_checking(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        tick = loop.time()
        while True:
            for checker in self.checkers:
                if self.routes.routed(checker.backend.address):
                    group.create_task(checker.once())
            if self._serving is not None and not self.announcer.settled(self.wanted()):
                self._due.set()
            tick = max(tick + self.config.timing.interval_s, loop.time())
            await asyncio.sleep(tick - loop.time())  # the schedule of checks itself, not a wait for something

    async def _keep_reconciled(self) -> None:
        """At every change of health, and every second in case something was changed behind the agent's back."""
        while True:
            try:
                async with asyncio.timeout(1):
                    await self._due.wait()
            except TimeoutError:
                self.routes.look()
                self.plane.prepare()
            self._due.clear()
            await self._attempt()

    async def _set_mode(self, mode: Mode) -> asyncio.Event:
        """Makes it so, and returns what the next command will set."""
        if mode is not self.mode:
            self.events.emit(mode.value, "this node")
        self.mode, self.drained = mode, False
        self._mode_changed.set()
        overtaken = self._mode_changed = asyncio.Event()
        if self._serving is not None:
            await self.announcer.apply(self.wanted)
        return overtaken

    async def drain(self, plan: Drain) -> Reply:
        """De-prefers, waits until no VIP packet comes, withdraws; goes on forwarding all the while and afterwards.

        At the deadline it withdraws anyway: routes that stay for good would be worse than flows that move. It says so,
        and counts as done.
        """
        if self.mode is Mode.WITHDRAWN:  # announcing it again, if only de-preferred, would bring packets back
            return Reply(True, "withdrawn already; still forwarding")
        overtaken = await self._set_mode(Mode.DRAINING)
        plan = Drain(time.monotonic_ns(), plan.quiet_ns, plan.deadline_ns)
        while not overtaken.is_set():
            now, last = time.monotonic_ns(), self.plane.last_packet_ns()
            quiet = plan.quiet(now, last)
            if quiet or plan.overdue(now):
                return await self._end_drain(plan, quiet)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((plan.next_look_ns(last) - now) / 1e9):
                    await overtaken.wait()
        return Reply(False, f"the drain was given up: another command made this node {self.mode.value}")

    async def _end_drain(self, plan: Drain, quiet: bool) -> Reply:
        await self._set_mode(Mode.WITHDRAWN)
        self.drained = quiet
        if quiet:
            return Reply(True, f"drained: no VIP packet for {plan.quiet_ns / 1e9:g} s; withdrawn, still forwarding")
        waited = f"{plan.deadline_ns / 1e9:g} s after de-preferring"
        return Reply(True, f"withdrawn, though VIP packets still came {waited}; still forwarding")

    async def handle(self, command: str) -> Reply:
        """One command of l4ctl."""
        actions: dict[str, Callable[[], Awaitable[Reply]]] = {
            "drain": lambda: self.drain(Drain(0)),
            "undrain": self._announce,
            "announce": self._announce,
            "withdraw": self._withdraw,
            "status": self._status,
        }
        try:
            action = actions[command]
        except KeyError:
            return Reply(False, f"'{command}' is not one of {', '.join(actions)}")
        try:
            return await action()
        except BgpError as error:
            return Reply(False, str(error))

    async def _announce(self) -> Reply:
        await self._set_mode(Mode.NORMAL)
        if self._serving is None:
            return Reply(True, "will be announced as soon as the health of every backend is known")
        missing = [str(vip) for vip, how in self.wanted().items() if how is Announcement.NONE]
        if missing:
            return Reply(False, f"not announced, because nothing here can serve it: {', '.join(missing)}")
        return Reply(True, "announced")

    async def _withdraw(self) -> Reply:
        await self._set_mode(Mode.WITHDRAWN)
        return Reply(True, "withdrawn; still forwarding")

    async def _status(self) -> Reply:
        last = self.plane.last_packet_ns()
        health: dict[str, dict[str, bool | None]] = {service.name: {} for service in self.config.services}
        for checker in self.checkers:
            health[checker.service.name][checker.backend.name] = self._up(checker)
        draining = sorted({checker.backend.name for checker in self.checkers if checker.health.draining})
        state = {
            "name": self.config.name,
            "mode": self.mode.value,
            "drained": self.drained,
            "attached": self.plane.attached(),
            "announced": {str(vip): how.value for vip, how in self.announcer.done.items()},
            "backends": health,
            "draining": draining,
            "isolated": self.isolated,
            "routed": {b.name: self.routes.routed(b.address) for b in self.config.backends},
            "last_packet_age_s": (time.monotonic_ns() - last) / 1e9 if last else None,
            "counters": self.plane.counters(),
        }
        return Reply(True, "status", state)

    async def leave(self) -> None:
        """Before the process ends on purpose: drained briefly, withdrawn, and only then detached."""
        try:
            say((await self.drain(_LAST_DRAIN)).message)
        except BgpError as error:
            say(str(error))
        self.plane.detach()

    def close(self) -> None:
        """Gives its sockets back."""
        self.routes.close()
