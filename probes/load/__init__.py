"""Locust as load from every vantage, recorded so that it can be judged. Defines no black hole, and knows no fault."""

from probes.load.locustfile import LoadError, check_locustfile
from probes.load.manager import LoadRun
from probes.load.record import Request, Target

__all__ = ["LoadError", "LoadRun", "Request", "Target", "check_locustfile"]
