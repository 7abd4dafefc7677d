"""Long-lived HTTP connections with heartbeats, so that "broken" is measured. Knows nothing of what serves them."""

from probes.connections.log import ConnectionRecord, Heartbeat, Refusal
from probes.connections.manager import Connections
from probes.connections.target import Security, Target

__all__ = ["ConnectionRecord", "Connections", "Heartbeat", "Refusal", "Security", "Target"]
