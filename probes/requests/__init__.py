"""New requests, by HTTP or in a service's own words, each on a connection of its own, sent on a schedule, followed to their end.

Knows no faults, judges nothing."""

from probes.requests.plan import RequestSeries, scheduled
from probes.requests.requester import Requester
from probes.requests.stretches import Failing, failing
from probes.requests.trace import Outcome, RequestTrace, RequestWindow

__all__ = ["Failing", "Outcome", "RequestSeries", "RequestTrace", "RequestWindow", "Requester", "failing", "scheduled"]
