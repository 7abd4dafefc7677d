"""Images that users brought: one root file system per content, and names that point to them. It does not know where they came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from topologies.image.cache import cache_root, digest


class ImageConfig(msgspec.Struct, frozen=True):
    """What an image says of the process that it is for: argument vectors, `NAME=VALUE` lines, `user[:group]`, a directory."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    directory: str = "/"


class Imported(msgspec.Struct, frozen=True):
    """An image under its name. `key` is of its content, `source` what it was imported from, `size` in bytes on disk."""

    name: str
    key: str
    config: ImageConfig
    source: str
    size: int

    @property
    def root(self) -> Path:
        return _roots() / self.key


def canonical(name: str) -> str:
    """The name as Docker would shorten it: without its default registry, with its default tag."""
    short = name.removeprefix("docker.io/").removeprefix("library/")
    last = short.rpartition("/")[2]
    return short if ":" in last or "@" in last else f"{short}:latest"


def _roots() -> Path:
    return cache_root() / "imported" / "roots"


def _note(name: str) -> Path:
    return cache_root() / "imported" / "names" / f"{digest([canonical(name)])}.json"


def find(name: str) -> Imported | None:
    """The image of that name, or None."""
    try:
        found = msgspec.json.decode(_note(name).read_bytes(), type=Imported)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.root.exists() else None


def imported() -> list[Imported]:
    """All of them, by name."""
    notes = (cache_root() / "imported" / "names").glob("*.json")
    found = (find(msgspec.json.decode(note.read_bytes(), type=Imported).name) for note in notes)
    return sorted((one for one in found if one), key=lambda one: one.name)


def keep(name: str, key: str, root: Path, config: ImageConfig, source: str, size: int) -> Imported:
    """Moves a root file system into the store, under a name that may have pointed elsewhere before."""
    image = Imported(canonical(name), key, config, source, size)
    if not image.root.exists():
        image.root.parent.mkdir(parents=True, exist_ok=True)
        root.rename(image.root)
    note = _note(name)
    note.parent.mkdir(parents=True, exist_ok=True)
    fresh = note.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(image))
    fresh.rename(note)
    return image


def remove(name: str) -> bool:
    """Forgets the name, and removes the files where no other name and no lab has them. Whether there was such a name."""
    image = find(name)
    _note(name).unlink(missing_ok=True)
    if image is None:
        return False
    named = any(one.key == image.key for one in imported())
    if not named and str(image.root) not in Path("/proc/self/mounts").read_text():
        shutil.rmtree(image.root)
    return True
