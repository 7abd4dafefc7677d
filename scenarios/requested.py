"""Which new requests a vantage makes, and which streams it holds. Pure: it knows what the vantage reaches, no process."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from probes.connections import Target
from probes.connections.target import Version
from probes.requests import RequestSeries, scheduled
from scenarios.schedule import IDENTITY, Reached, connected_to, security_of
from topologies.services import Service


def requested(
    vantage: str, number: int, reached: Sequence[Reached], nameless: Collection[tuple[str, str]] = ()
) -> tuple[RequestSeries, ...]:
    """A series to every service that answers requests, at each of its addresses: by HTTP/1.1 where it is spoken, and in its own words,
    which name nobody, where no HTTP is. `number` of the vantage among all keeps identifiers apart; `nameless`: (service, address)
    whose answers bore no backend's name at boot, so that none is asked of them."""
    return scheduled(
        RequestSeries(
            id=1000 * number + at,
            vantage=vantage,
            service=one.service.name,
            src=one.source,
            dst=one.vip,
            dport=one.service.port,
            host=one.service.host or one.vip,
            path=one.service.path or "/",
            identity=_identity(one.service, named=(one.service.name, one.vip) not in nameless),
            http=_version(one.service),
            tls=security_of(one.service),
            send=one.service.send or b"",
            expect=one.service.expect or b"",
        )
        for at, one in enumerate(one for one in reached if one.service.answers_requests)
    )


def _identity(service: Service, *, named: bool) -> str | None:
    return (service.identity or IDENTITY) if named and service.speaks_http else None


def _version(service: Service) -> Version | None:
    if not service.speaks_http:
        return None
    return "1.1" if "1.1" in service.http else "2"


def streamed(reached: Sequence[Reached]) -> list[Target]:
    """Whom streams go to: every service that has a path for them, at each of its addresses, in each version that it speaks."""
    return [
        structs.replace(target, path=one.service.stream)
        for one in reached
        if one.service.stream is not None
        for target in connected_to([one])
    ]
