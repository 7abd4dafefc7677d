"""Which service answers which vantage, as it was asked once before anything was broken: plain facts, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from topologies.contract import Contract

Asked = tuple[str, str, str]
"""A vantage, the name of a service, and the VIP that it was asked at."""

FULL_BYTES = 1400
"""A full-size packet, from the network header on: large, and small enough for tunnels that are provided for."""
FULL_SIZE = f"{FULL_BYTES:,}-byte packets"


@dataclass(frozen=True, slots=True)
class Answering:
    """`unreached`: why a service does not answer a vantage at a VIP; `not_asked`: why it was not asked there. `without_identity`: the
    names of the headers of an answer that lacks the one that names its backend. `no_ping`: vantage and VIP, of services that are
    pinged, and no answer came.

    Of those that answer small packets: `too_large`: why full-size ones had no answer; `size_unknown`: why it is not known."""

    vantages: tuple[str, ...] = ()
    unreached: Mapping[Asked, str] = field(default_factory=dict)
    not_asked: Mapping[Asked, str] = field(default_factory=dict)
    without_identity: Mapping[Asked, tuple[str, ...]] = field(default_factory=dict)
    no_ping: frozenset[tuple[str, str]] = frozenset()
    too_large: Mapping[Asked, str] = field(default_factory=dict)
    size_unknown: Mapping[Asked, str] = field(default_factory=dict)

    def answered(self, contract: Contract) -> tuple[Asked, ...]:
        """Where an answer came."""
        silent = {*self.unreached, *self.not_asked}
        return tuple(one for one in everything(self.vantages, contract) if one not in silent)

    def unserved(self, contract: Contract) -> dict[str, str]:
        """Services that answer nobody, each with why."""
        served = {service for _, service, _ in self.answered(contract)}
        return {name: self._why(name) for name in contract.services if name not in served}

    def gone(self, contract: Contract) -> dict[tuple[str, str], str]:
        """Service and VIP that answer none of those who asked, while others of the service do answer: what fails `steady`."""
        answered = self.answered(contract)
        served, here = {service for _, service, _ in answered}, {(service, vip) for _, service, vip in answered}
        asked = dict.fromkeys((service, vip) for _, service, vip in self.unreached if service in served)
        return {one: self._why(*one) for one in asked if one not in here}

    def too_large_for_all(self, contract: Contract) -> dict[tuple[str, str], str]:
        """Service and VIP of which nobody who gets answers to small packets gets one to full-size ones: what fails `steady`, too."""
        heard = {
            (service, vip) for v, service, vip in self.answered(contract) if (v, service, vip) not in self.too_large
        }
        by_place: dict[tuple[str, str], list[str]] = {}
        for (vantage, service, vip), why in self.too_large.items():
            if (service, vip) not in heard:
                by_place.setdefault((service, vip), []).append(f"{vantage}: {why}")
        return {place: "; ".join(told) for place, told in by_place.items()}

    def never_answered(self, contract: Contract) -> tuple[str, ...]:
        """Why a service does not answer a vantage that asked, at all or with full-size packets, where `steady` does not judge it: a
        part of what was promised is not there to be measured."""
        gone, too_large = self.gone(contract), self.too_large_for_all(contract)
        silent = (why for (_, service, vip), why in self.unreached.items() if (service, vip) not in gone)
        sizes = (
            f"{vantage} → {service} {vip} with {FULL_SIZE} ({why})"
            for found in (self.too_large, self.size_unknown)
            for (vantage, service, vip), why in found.items()
            if (service, vip) not in too_large
        )
        return (*silent, *sizes)

    def _why(self, service: str, vip: str | None = None) -> str:
        told = (
            why
            for found in (self.unreached, self.not_asked)
            for (_, name, at), why in found.items()
            if name == service and vip in (None, at)
        )
        return "; ".join(dict.fromkeys(told))


def everything(vantages: Iterable[str], contract: Contract) -> list[Asked]:
    """Every vantage with every service at each of its VIPs."""
    return [(vantage, s.name, vip) for vantage in vantages for s in contract.services.values() for vip in s.vip]


def not_to_ask(families: Mapping[str, frozenset[int]], contract: Contract) -> dict[Asked, str]:
    """What a vantage cannot ask since it has no address of that family, by the IP versions that each has. One that has none at all is
    asked nevertheless: it is there to reach something."""
    return {
        (vantage, service, vip): f"{vantage} has no IPv{version} address"
        for vantage, service, vip in everything(families, contract)
        if families[vantage] and (version := ip_address(vip).version) not in families[vantage]
    }
