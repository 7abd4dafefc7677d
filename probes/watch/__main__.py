"""`python -m probes.watch PLAN`: the listening process. Knows its plan and nothing of who reads its journal."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from probes.watch.listener import Plan, listen

if __name__ == "__main__":
    listen(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
