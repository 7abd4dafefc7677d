"""Long-lived HTTP connections, busy, idle and streaming, so that "broken" is measured. Knows nothing of what serves them."""

from probes.connections.client import ASKED_WITHIN_S
from probes.connections.log import ConnectionRecord, Heartbeat, Refusal
from probes.connections.manager import Connections
from probes.connections.target import Security, Target, Use

__all__ = [
    "ASKED_WITHIN_S",
    "ConnectionRecord",
    "Connections",
    "Heartbeat",
    "Refusal",
    "Security",
    "Target",
    "Use",
]
