"""What the trials of a run share: the lab in service, its instruments, and what the first control window showed of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from probes.child import ProbeError
from reports.evidence.writer import EvidenceWriter
from scenarios.answering import Asked
from scenarios.asked import Play
from scenarios.boot import Booted
from scenarios.instruments import LEARN_NS, Instruments
from scenarios.serving import Baseline, lacking
from scenarios.steady import unanswered
from scenarios.timers.timers import Kept
from scenarios.waiting import DeadlineMissed, wait_until
from topologies.linux.lab import LinuxLab
from topologies.linux.wired import Crossing
from topologies.model import Endpoint
from topologies.runtime import RuntimeFailure

STEADY_S = 30.0
WHOLE_S = 60.0
CALM_S = 10.0  # for so long the host may be given time to calm down, after a boot for instance
LOOK_S = 0.25  # between two looks at whether all is quiet: looking takes CPU from what is looked at
STEADY_NS = 1_000_000_000
CONTROL_NS = 5_000_000_000
"""The control window, most of which has passed when steady state is reached: all was quiet while connections were opened."""
CHOSEN_NS = 500_000_000
"""So much of it is left for a target to be chosen in."""
READ_EVERY_NS = 5_000_000_000
OPENED_AT_MOST = 2
"""Before a trial connections are opened so many times at most, where something is lost after each."""

Say = Callable[[str], None]


@dataclass
class Bench:
    """`baseline` is None until a control window has passed; `broken`: why the lab is not as it should be, empty when it is.

    `opened`: long-lived connections have been opened since something was broken last; `openings`: which ways they were opened, and all
    else went since; `overflow`: for how many flows there was no room among these; `quiet_ns`: since when nothing was
    broken, healed, restarted or lost; `stale`: something was lost since connections were opened, so that where idle ones are now
    nobody knows.
    """

    booted: Booted
    instruments: Instruments
    writer: EvidenceWriter
    say: Say
    now: Say = lambda _: None
    per_hop: bool = False
    baseline: Baseline | None = None
    opened: bool = False
    openings: tuple[Crossing, ...] = ()
    overflow: int = 0
    quiet_ns: int = field(default_factory=time.monotonic_ns)
    broken: str = ""
    kept: Kept = field(default_factory=Kept)
    plays: Mapping[str, Play] = field(default_factory=dict)
    stale: bool = False
    redeploy: Callable[[], tuple[Booted, Instruments]] | None = None
    _opened_ns: int = field(default_factory=time.monotonic_ns, repr=False)
    _renewing: bool = field(default=False, repr=False)
    _read_ns: int = field(default_factory=time.monotonic_ns, repr=False)
    _learned_ns: int = field(default_factory=time.monotonic_ns, repr=False)

    @property
    def vips(self) -> frozenset[str]:
        return frozenset(vip for service in self.booted.contract.services.values() for vip in service.vip)

    def running(self) -> dict[str, frozenset[str]]:
        """Node → those of its role's processes in the contract that run now."""
        lab, found = self.booted.lab, {}
        for role, names in self.booted.contract.processes.items():
            for node in self.booted.topology.nodes_with_role(role):
                there = set(lab.pids(node.name).values())
                found[node.name] = frozenset(name for name in names if name[:15] in there)
        return found

    # -- a lab that is whole ---------------------------------------------------------------------------------------

    def make_whole(self) -> str:
        """Before a trial: where the last one left something broken the lab is reset, else deployed anew. Empty, or why it is not whole
        all the same: no trial may begin then."""
        if not self.broken:
            return ""
        self.say(f"the lab is not as it should be ({self.broken}): it is reset")
        try:
            self.booted.lab.reset()
            wait_until(self._not_whole, deadline_s=WHOLE_S, every_s=2 * LOOK_S, what="reset")
            self.booted.lab.level()
            self.broken = ""
        except (DeadlineMissed, RuntimeFailure, OSError) as left:  # OSError: of a lab that is there no more
            self.broken = self._deployed_anew(str(left))
        # what was opened over a broken lab may stand where no new connection would be put
        self.opened = self._renewing = False
        return self.broken

    def _not_whole(self) -> str:
        lab = self.booted.lab
        if self.baseline:
            running = self.running()
            for node in lab.topology.nodes:
                if left := lacking(self.baseline, node, lab.snapshot(node), running.get(node, frozenset())):
                    return left
        return _silent(unanswered(lab, self.booted.contract).keys() - self.booted.unreached.keys())

    def _deployed_anew(self, why: str) -> str:
        if self.redeploy is None:
            return why
        self.say(f"a reset does not mend it ({why}): it is deployed anew")
        known = self.booted.unreached.keys()
        try:
            self.booted, self.instruments = self.redeploy()
        except (RuntimeFailure, ProbeError) as error:
            self.redeploy = None
            return str(error)
        self.kept = Kept()
        return _silent(self.booted.unreached.keys() - known)

    # -- a host with CPU to spare ----------------------------------------------------------------------------------

    def calm(self, deadline_s: float) -> None:
        """Gives a busy host time, then fewer probes to carry and as much time again. Whether that was enough, trust will tell."""
        try:
            wait_until(self._restless, deadline_s=deadline_s, every_s=2 * LOOK_S, what="calm")
        except DeadlineMissed as busy:
            if self.thin(str(busy)):
                self.calm(deadline_s)

    def thin(self, why: str) -> bool:
        """Fewer probes from here on, said with its reason; False where no less would be of use. Raises ProbeError."""
        thinner = self.instruments.thin()
        if thinner:
            self.quiet_ns = time.monotonic_ns()
            self.say(
                f"the host does not carry all probes: one every {self.instruments.interval_ns / 1e6:g} ms now ({why})"
            )
        return thinner

    # -- steady state ----------------------------------------------------------------------------------------------

    def begin_renewal(self) -> None:
        """Has connections opened anew meanwhile where something was broken since they were. Every link is tapped: which way an idle
        one went nobody sees later."""
        if self.opened:
            return
        self._renewing, self.quiet_ns = True, time.monotonic_ns()
        self._opened_ns = self.quiet_ns
        self.openings, self.overflow = (), 0
        tap_openings(self.booted.lab)
        self.instruments.begin_renewal()

    def settle(self) -> str:
        """Long-lived connections opened anew where something was broken or lost since, and everything answers for a second. `quiet_ns`
        is then when the control window began: now where anything was lost meanwhile. Links stay tapped. Raises DeadlineMissed,
        ProbeError."""
        for _ in range(OPENED_AT_MOST):
            said = self._settled()
            if not self.stale:
                break
            self.opened = False
        self.opened = True
        return said

    def _settled(self) -> str:
        lost = self.stale = True
        try:
            if not self.opened:
                self._renew()
            took = wait_until(self._unsteady, deadline_s=STEADY_S, every_s=LOOK_S, what="steady state")
            self.calm(CALM_S)
            self.instruments.learn_grace()
            lost = bool(self.instruments.last_losses(self.quiet_ns))
            self.stale = bool(self.instruments.last_losses(self._opened_ns))
        finally:
            now = time.monotonic_ns()
            # a window that begins just behind a loss would show less of it than there is
            self.quiet_ns = now if lost else max(self.quiet_ns, now + CHOSEN_NS - CONTROL_NS)
            self.read_openings()
        return f"steady after {took:.1f} s; probes every {self.instruments.interval_ns / 1e6:g} ms"

    def read_openings(self) -> None:
        """Takes what the taps saw out of their table, which would fill up and take long to read, again and again."""
        lab = self.booted.lab
        self.openings = merged(self.openings, lab.take_tapped())
        self.overflow += lab.wire.take_tap_overflow()
        self._read_ns = time.monotonic_ns()

    def _read_now_and_then(self) -> None:
        if (self.opened or self._renewing) and time.monotonic_ns() - self._read_ns > READ_EVERY_NS:
            self.read_openings()

    def _restless(self) -> str:
        self._read_now_and_then()
        return self.instruments.restless()

    def _unsteady(self) -> str:
        self._read_now_and_then()
        if time.monotonic_ns() - self._learned_ns > LEARN_NS:
            self._learned_ns = time.monotonic_ns()
            self.instruments.learn_grace()
        return self.instruments.unsteady(max(self.quiet_ns, time.monotonic_ns() - STEADY_NS))

    def _renew(self) -> None:
        if not self._renewing:
            self.calm(CALM_S)  # a host that is too busy to open connections is given less to do first
            self.begin_renewal()
        self._renewing = False
        self.instruments.renew(self.quiet_ns)
        self.opened = True

    def carrying(self) -> frozenset[str]:
        """Nodes that a packet to or from a VIP crossed of late, links that it took, and who answered."""
        vips, since_ns = self.vips, self.quiet_ns - STEADY_NS
        seen = [c for c in self.openings if c.seen.last_ns >= since_ns and (c.flow.src in vips or c.flow.dst in vips)]
        nodes = {node for c in seen for node in (c.sender, c.receiver)}
        ends = {Endpoint(c.sender, c.interface) for c in seen}
        links = {str(link) for link in self.booted.topology.links if not ends.isdisjoint(link.endpoints)}
        return frozenset(nodes | links | self.instruments.answering())


def tap_openings(lab: LinuxLab) -> None:
    """Taps every link, for connections that are opened from now on."""
    lab.wire.forget_taps()
    lab.tap(tuple(lab.topology.nodes))


def merged(earlier: Collection[Crossing], later: Collection[Crossing]) -> tuple[Crossing, ...]:
    """Each crossing once, as it was seen last."""
    return tuple({(c.sender, c.interface, c.flow): c for c in (*earlier, *later)}.values())


def _silent(asked: Collection[Asked]) -> str:
    return "; ".join(f"{vantage} → {service} {vip} does not answer" for vantage, service, vip in sorted(asked))


def crossed_by(crossings: Collection[Crossing], vips: Collection[str]) -> frozenset[str]:
    """Nodes that forwarded a packet to a VIP: it came in, and went out again."""
    came = {(c.receiver, c.flow) for c in crossings if c.flow.dst in vips}
    return frozenset(c.sender for c in crossings if (c.sender, c.flow) in came)
