"""Cut of a link: silently, so that only BFD or a health check can notice, or with loss of carrier at both of its ends."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.faults.base import FaultPlan
from topologies.linux.lab import LinuxLab
from topologies.linux.wire import Instant
from topologies.model import Link


@dataclass
class CutLinkFault:
    """Effective while neither end receives a frame over the link, by the interfaces' own counters; with loss of carrier, when
    both ends have lost it besides."""

    lab: LinuxLab
    plan: FaultPlan
    carrier_lost: bool
    _frames: int = 0

    @property
    def link(self) -> Link:
        return self.plan.links[0]

    def inject(self) -> Instant:
        if self.carrier_lost:
            self.lab.keep_static(self.link)
        instant = self.lab.drop_carrier(self.link) if self.carrier_lost else self.lab.cut_link(self.link)
        self._frames = self.lab.frames_over(self.link)
        return instant

    def missing_effect(self) -> str:
        if self.carrier_lost and any(self.lab.carriers(self.link)):
            return f"{self.link} still has carrier"
        return self.missing_at_heal()

    def missing_at_heal(self) -> str:
        passed = self.lab.frames_over(self.link) - self._frames
        return f"{passed} frames passed {self.link} after it was cut" if passed else ""

    def heal(self) -> None:
        if self.carrier_lost:
            self.lab.raise_carrier(self.link)
        else:
            self.lab.mend_link(self.link)

    def missing_heal(self) -> str:
        if self.link in self.lab.cut_links():
            return f"the cut of {self.link}"
        return "" if all(self.lab.carriers(self.link)) else f"the loss of carrier of {self.link}"


def cut_link(lab: LinuxLab, link: Link, *, carrier_lost: bool) -> CutLinkFault:
    """A cut of `link`. Its roles, for budgets, are those of its ends."""
    how = "with loss of carrier" if carrier_lost else "silently"
    role, other = (lab.topology.nodes[end.node].role for end in link.endpoints)
    plan = FaultPlan(
        "cut-link", str(link), role, (), f"Cut link {link} {how}", f"link {link}", (link,), other_role=other
    )
    return CutLinkFault(lab, plan, carrier_lost)
