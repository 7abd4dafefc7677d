"""Cyclic garbage is looked for between trials, never in one: to look through all that a run has recorded keeps a core busy for up to
a second, which the lab lacks meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_between_trials() -> Iterator[None]:
    """Python looks for none of itself until the block ends; what is there already is never looked through again."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
