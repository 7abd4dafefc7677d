"""The timeline of causes: what routers, kernels and nodes did, on the clock that the probes are measured by."""

from probes.watch.drops import HandedDrop
from probes.watch.event import TimelineEvent
from probes.watch.manager import FrameReader, Watch

__all__ = ["FrameReader", "HandedDrop", "TimelineEvent", "Watch"]
