"""Small labs for the watch, by the fixtures of the labs' own tests."""

from __future__ import annotations

from tests.topologies.lab.conftest import describe, runtime, up

__all__ = ["describe", "runtime", "up"]
