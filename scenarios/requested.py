"""Which new requests a vantage makes, and which streams it holds. Pure: it knows what the vantage reaches, no process."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from probes.connections import Target
from probes.requests import RequestSeries, scheduled
from scenarios.schedule import IDENTITY, Reached, connected_to, security_of


def requested(
    vantage: str, number: int, reached: Sequence[Reached], nameless: Collection[tuple[str, str]] = ()
) -> tuple[RequestSeries, ...]:
    """A series to every HTTP service at each of its addresses, by HTTP/1.1 where it is spoken. `number` of the vantage among all keeps
    identifiers apart; `nameless`: (service, address) whose answers bore no backend's name at boot, so that none is asked of them."""
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
            identity=None if (one.service.name, one.vip) in nameless else one.service.identity or IDENTITY,
            http="1.1" if "1.1" in one.service.http else "2",
            tls=security_of(one.service),
        )
        for at, one in enumerate(one for one in reached if one.service.speaks_http)
    )


def streamed(reached: Sequence[Reached]) -> list[Target]:
    """Whom streams go to: every service that has a path for them, at each of its addresses, in each version that it speaks."""
    return [
        structs.replace(target, path=one.service.stream)
        for one in reached
        if one.service.stream is not None
        for target in connected_to([one])
    ]
