"""What holds for every test: a property is about truth, and takes as long as a busy host needs; what takes long has its turn."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.turns import chosen

# How slow examples are to make, and how many of them fit, is the host's affair and the dice's. With all tests new examples are sought
# each time; else the same ones are tried, so that a change is refused for what it did.
settings.register_profile(
    "nospof",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    derandomize=os.environ.get("NOSPOF_LONG") != "all",
)
settings.load_profile("nospof")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the long tests those that NOSPOF_LONG asks for: `all`, or `turn` for the part that the commit chooses; and those that are
    named on the command line."""
    long = {item.nodeid: item for item in items if item.get_closest_marker("long")}
    named = {
        nodeid for nodeid in long if any("::" in arg and nodeid.startswith(arg.split("[")[0]) for arg in config.args)
    }
    which = os.environ.get("NOSPOF_LONG", "")
    run = chosen(long.keys() - named, which, _commit() if which == "turn" else "") | named
    left = [item for nodeid, item in long.items() if nodeid not in run]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _commit() -> str:
    root = Path(__file__).resolve().parents[1]
    asked = ["git", "-C", str(root), "-c", f"safe.directory={root}", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "0"
