"""Long-lived HTTP/1.1 connections with heartbeats, so that "broken" is measured. Knows nothing of what serves them."""

from probes.connections.heart import Target
from probes.connections.log import ConnectionRecord, Heartbeat, Refusal
from probes.connections.manager import Connections

__all__ = ["ConnectionRecord", "Connections", "Heartbeat", "Refusal", "Target"]
