"""What a node finds empty whenever it starts, as after a boot: `/run` and `/tmp` in memory, with what its image has there and no more.

It only looks at a root file system. A program that was killed leaves its pid file there, and would else refuse to start again.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

EMPTIED: Mapping[str, Sequence[str]] = {"/run": ("mode=0755",), "/tmp": ("mode=1777",)}
"""Directory → options of its tmpfs, where an image has nothing in it that counts."""
OLD_RUN = "/var/run"  # of images that have no link to /run there
COPY_UP = "tmpcopyup"  # an option of runc's: the tmpfs begins with what lies beneath it


def emptied(root: Path) -> dict[str, Sequence[str]]:
    """Of a brought image with this root: each with the image's own content, mode and owner. Links are left what they are."""
    found: dict[str, Sequence[str]] = {}
    for place in (*EMPTIED, OLD_RUN):
        path = root / place.lstrip("/")
        try:
            there = None if path.parent.is_symlink() else path.lstat()
        except FileNotFoundError:
            there = None
        if there is None:
            found |= {place: EMPTIED[place]} if place in EMPTIED and not path.parent.is_symlink() else {}
        elif stat.S_ISDIR(there.st_mode):
            owner = (f"uid={there.st_uid}", f"gid={there.st_gid}")
            found[place] = (f"mode={stat.S_IMODE(there.st_mode):04o}", *owner, COPY_UP)
    return found
