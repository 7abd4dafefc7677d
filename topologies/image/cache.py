"""Where slow things are kept: outside the tree, by the hash of what they are made from. Knows nothing of what it keeps."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def cache_root() -> Path:
    """Directory of everything nospof caches; `NOSPOF_CACHE` moves it."""
    return Path(os.environ.get("NOSPOF_CACHE", "/var/cache/nospof"))


def digest(parts: Iterable[bytes | str]) -> str:
    """Hex digest (16 characters) of the parts in order; each is length-prefixed, so no two lists collide."""
    h = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        h.update(len(raw).to_bytes(8, "big") + raw)
    return h.hexdigest()[:16]


def cached_file(kind: str, name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Path of a file built once for `key`. `build(path)` writes it; an interrupted build leaves nothing behind."""
    target = cache_root() / kind / key / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        build(scratch / name)
        (scratch / name).rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
