"""Reads what Envoy's health checker writes about applications. Pure; it must not know pipes or clocks.

One JSON object a line: envoy.data.core.v3.HealthCheckEvent (envoyproxy.io/docs, api-v3).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

_WHAT = {
    "add_healthy_event": "healthy",
    "eject_unhealthy_event": "unhealthy",
    "degraded_healthy_host": "degraded",
    "no_longer_degraded_host": "no longer degraded",
}


@dataclass(frozen=True)
class Seen:
    """One change of an application's health. `t_ns` is real time, good to a millisecond, as Envoy writes it."""

    what: str
    detail: str
    t_ns: int


def parse(written: bytes) -> Seen | None:
    """The event of one line; None for what is no change of health, or no event at all."""
    try:
        event = json.loads(written)
        what = next((word for key, word in _WHAT.items() if key in event), None)
        address = event["host"]["socket_address"]
        at = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if what is None:
        return None
    reason = event.get("eject_unhealthy_event", {}).get("failure_type", "")
    detail = f"{address.get('address')}:{address.get('port_value')}" + (f" {reason}" if reason else "")
    return Seen(what, detail, int(at.timestamp() * 1000) * 1_000_000)
