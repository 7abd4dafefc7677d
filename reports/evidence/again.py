"""Names of what a run judges: the second try of `kill-l4` is recorded as `kill-l4 again`. It knows names only."""

from __future__ import annotations

AT_REST = "steady"
"""The stack at rest is judged like a scenario: it breaks nothing, and holds no connections of its own."""
_MARK = " again"


def again(scenario: str) -> str:
    """The name under which a second try of a scenario is recorded."""
    return scenario + _MARK


def first(scenario: str) -> str:
    """The scenario's own name, whichever try of it this is."""
    return scenario.removesuffix(_MARK)
