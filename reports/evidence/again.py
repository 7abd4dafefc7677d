"""Names of scenarios that were played again: the second try of `kill-l4` is recorded as `kill-l4 again`. It knows names only."""

from __future__ import annotations

_MARK = " again"


def again(scenario: str) -> str:
    """The name under which a second try of a scenario is recorded."""
    return scenario + _MARK


def first(scenario: str) -> str:
    """The scenario's own name, whichever try of it this is."""
    return scenario.removesuffix(_MARK)
