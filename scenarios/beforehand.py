"""What will be judged of each service and by which instrument, what will not, and why: told before anything is broken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scenarios.answering import FULL_SIZE, Answering
from scenarios.schedule import FLOWS_PER_SERVICE, IDENTITY
from topologies.contract import Contract
from topologies.services import Service

MOST_NAMES = 16
BY_NAME = "“other backend”, and `own` by name"


@dataclass(frozen=True, slots=True)
class Beforehand:
    """One service: what is judged of it, and what is not, each with its why."""

    service: str
    judged: tuple[str, ...]
    not_judged: tuple[str, ...]

    def __str__(self) -> str:
        told = (
            f"{self.service}: judged by {'; '.join(self.judged)}"
            if self.judged
            else f"{self.service}: nothing is judged"
        )
        return f"{told}. Not judged: {'; '.join(self.not_judged)}" if self.not_judged else told


def beforehand(contract: Contract, found: Answering) -> tuple[Beforehand, ...]:
    """Every service, in the contract's order, as it answered."""
    unserved = found.unserved(contract)
    return tuple(
        Beforehand(name, (), (f"anything, since it answers nobody: {unserved[name]}",))
        if name in unserved
        else _of(service, contract, found)
        for name, service in contract.services.items()
    )


def _of(service: Service, contract: Contract, found: Answering) -> Beforehand:
    judged, without = _by_kind(service)
    if service.protocol != "udp":
        here = [(v, vip) for v, name, vip in found.answered(contract) if name == service.name]
        pings, silent = (
            _at([one for one in here if (one in found.no_ping) is silent], found) for silent in (False, True)
        )
        judged += [f"pings to {pings}"] if pings else []
        without += [f"pings to {silent}: none is answered, so none is sent"] if silent else []
    if service.speaks_http:
        named, nameless = _identity(service, found)
        judged += named
        without += nameless
    sizes = _too_large(service, contract, found)
    return Beforehand(service.name, tuple(judged), (*without, *_absent(service, contract, found), *sizes))


def _by_kind(service: Service) -> tuple[list[str], list[str]]:
    if service.protocol == "udp":
        return [f"UDP probes, {FLOWS_PER_SERVICE // len(service.vip) * len(service.vip)} flows from each vantage"], []
    if service.protocol == "tcp":
        accept, held = "SYNs: whether connections are accepted", "`broken`: no connections are held to a tcp service"
        if service.expect is None:
            return [accept], [
                "what it answers: a tcp service without send/expect, so only that connections are accepted is judged",
                held,
            ]
        asked = f"says {service.expect!r}" if not service.send else f"answers {service.send!r} with {service.expect!r}"
        return [accept, f"new requests: whether it {asked}"], [held]
    versions = " and ".join(service.http)
    kinds = "busy, idle and streaming" if service.stream else "busy and idle"
    judged = ["SYNs", f"new requests and connections by HTTP/{versions} ({kinds})"]
    without = [] if service.stream else ["streams: the contract names no `stream:` path"]
    if service.protocol == "http":
        return [*judged, "Locust's load"], without
    return judged, [*without, "Locust's load: it goes to services with protocol http only"]


def _identity(service: Service, found: Answering) -> tuple[list[str], list[str]]:
    """Whether answers name their backend by the header that is looked for."""
    lacking = {(v, vip): names for (v, name, vip), names in found.without_identity.items() if name == service.name}
    carried = sorted({name for names in lacking.values() for name in names})
    told = f"{', '.join(carried[:MOST_NAMES]) or 'none'}{', …' if len(carried) > MOST_NAMES else ''}"
    if service.identity:
        where = _at(list(lacking), found)
        lack = f"{BY_NAME}: answers from {where} lack the identity header `{service.identity}` (they carry {told})"
        return [], [lack] if lacking else []
    default = f"the contract names no identity header, and `{IDENTITY}`, looked for by default, was"
    if lacking:
        return [], [f"{BY_NAME}: {default} not there (answers carry {told})"]
    return [f"the backend's name: {default} there"], []


def _absent(service: Service, contract: Contract, found: Answering) -> list[str]:
    """Where it is not judged at all."""
    gone = {vip: why for (name, vip), why in found.gone(contract).items() if name == service.name}
    told = [f"{vip}, which answers nobody, so that `steady` fails: {why}" for vip, why in gone.items()]
    silent = {(v, vip): why for (v, name, vip), why in found.unreached.items() if name == service.name}
    told += [f"{vip} from {v}, where it does not answer: {why}" for (v, vip), why in silent.items() if vip not in gone]
    excused: Mapping[str, list[str]] = _grouped(
        (why, vip) for (_, name, vip), why in found.not_asked.items() if name == service.name
    )
    return told + [f"{', '.join(vips)}: {why}" for why, vips in excused.items()]


def _too_large(service: Service, contract: Contract, found: Answering) -> list[str]:
    """What answers small packets and no full-size ones, or was not asked in such."""
    if service.protocol == "tcp":
        return [f"{FULL_SIZE}: nothing is said to it but what the contract says"]
    all_of = {vip: why for (name, vip), why in found.too_large_for_all(contract).items() if name == service.name}
    told = [
        f"{FULL_SIZE} to {vip}, which nobody has an answer to, so that `steady` fails: {why}"
        for vip, why in all_of.items()
    ]
    return told + [
        f"{FULL_SIZE} to {vip} from {vantage}, where they have no answer ({why})"
        for of in (found.too_large, found.size_unknown)
        for (vantage, name, vip), why in of.items()
        if name == service.name and vip not in all_of
    ]


def _at(pairs: Sequence[tuple[str, str]], found: Answering) -> str:
    """VIPs, each with the vantages, unless these are all."""
    by_vip = _grouped((vip, vantage) for vantage, vip in pairs)
    return ", ".join(
        vip if len(vantages) == len(found.vantages) else f"{vip} ({', '.join(vantages)})"
        for vip, vantages in by_vip.items()
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped
