"""Brings a user's image in: an archive, a directory, or one of Docker's. skopeo reads, umoci unpacks; this decides what is what."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from topologies.image import store
from topologies.image.cache import cache_root, digest
from topologies.image.layout import config_in, images_in
from topologies.image.recipe import ImageError, Say
from topologies.image.store import ImageConfig, Imported
from topologies.model import IMAGES

DOCKER = "docker:"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_SYSTEM = ("bin", "sbin", "usr", "etc")
_SPARE = 3  # an archive as a layout, and unpacked, takes about this many times its size


class BadImage(ImageError):
    """What was given is no image, or none for this machine; the message says what was found. Exit code 2."""


def _run(argv: list[str], what: str) -> None:
    if shutil.which(argv[0]) is None:
        raise ImageError(f"{argv[0]} is not installed, which reads images; to get it: apt-get install skopeo umoci")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        if "no space left" in said.lower():
            raise ImageError(
                f"{what}: the disk of {cache_root()} is full: free some, or set NOSPOF_CACHE to a larger one"
            )
        raise BadImage(f"{what}: {said}")


@contextmanager
def _scratch() -> Iterator[Path]:
    """On the cache's disk, so that what is made there can be moved into place; what a killed import left goes first."""
    home = cache_root() / "imported"
    home.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=".importing-", dir=home))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def import_image(source: str, name: str | None, say: Say = lambda _: None) -> list[Imported]:
    """The images in `source`, in the store from now on: under `name`, or under those that they bring along.

    `source`: an archive (`docker save`, OCI, or a root file system's), a directory (OCI layout or root file system), or
    `docker:NAME`. Raises BadImage for what is no image, ImageError where the host failed.
    """
    if name is not None and store.canonical(name) in IMAGES:
        raise BadImage(f"{name} is one of nospof's own images: give the imported one another name")
    with _scratch() as scratch:
        path = _from_docker(source.removeprefix(DOCKER), scratch, say) if source.startswith(DOCKER) else Path(source)
        if not path.exists():
            raise BadImage(
                f"found no {source}; expected an archive, a directory, or {DOCKER}NAME for one that Docker has"
            )
        _check_room(path)
        if path.is_dir() and not (path / "index.json").exists():
            return [_take_directory(path, _named(name, source), scratch, say)]
        layouts = _layouts(path, scratch)
        if layouts is None:
            return [_take_tree(path, _named(name, source), scratch, say)]
        if name is not None and len(layouts) > 1:
            held = ", ".join(sorted(ref or "one without a name" for ref in layouts))
            raise BadImage(
                f"{source} holds {len(layouts)} images ({held}), which cannot all be {name}: leave out --name"
            )
        return [_take(place, name or _named(ref, source), source, scratch, say) for ref, place in layouts.items()]


def _check_room(path: Path) -> None:
    needed = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    needed *= _SPARE if path.is_file() else 1
    free = shutil.disk_usage(cache_root()).free
    if free < needed:
        raise ImageError(
            f"{cache_root()} has {free // 2**20} MiB free and importing {path} needs about {needed // 2**20}: "
            "free some, or set NOSPOF_CACHE to a larger disk"
        )


def _named(name: str | None, source: str) -> str:
    if not name:
        raise BadImage(f"{source} does not say what it is called: give it a name with --name NAME:TAG")
    return name


def _from_docker(name: str, scratch: Path, say: Say) -> Path:
    say(f"image: {name} out of Docker")
    target = scratch / "saved.tar"
    if shutil.which("docker") is None:
        raise ImageError("docker is not installed here: give an archive made by `docker save` elsewhere")
    done = subprocess.run(
        ["docker", "save", "--output", str(target), name], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise (BadImage if "No such image" in said or "reference" in said else ImageError)(
            f"docker save {name}: {said}"
        )
    return target


def _plain(path: Path, scratch: Path) -> Path:
    """The same under a path that skopeo reads as one: a colon would end it."""
    link = Path(tempfile.mkdtemp(prefix="source-", dir=scratch)) / "it"
    link.symlink_to(path.resolve())
    return link


def _layouts(path: Path, scratch: Path) -> dict[str, Path] | None:
    """Name → an OCI layout with that one image, or None for a plain root file system."""
    if path.is_dir():
        return _split(path, scratch)
    try:
        with tarfile.open(path) as archive:
            names = {member.name.removeprefix("./") for member in archive}
            saved = archive.extractfile(_member(archive, "manifest.json")) if "manifest.json" in names else None
            manifest = saved.read() if saved else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadImage(f"{path} is no archive that can be read to its end: {error}") from error
    if manifest:
        return _from_docker_archive(path, manifest, scratch)
    if "index.json" in names:
        unpacked = scratch / "layout"
        unpacked.mkdir()
        _run(["tar", "-C", str(unpacked), "-xf", str(path)], f"unpacking {path}")
        return _split(unpacked, scratch)
    if not names & {*_SYSTEM}:
        shown = ", ".join(sorted(names)[:4]) or "nothing"
        raise BadImage(
            f"{path} is neither an image nor a root file system: found {shown}; expected manifest.json (docker save), "
            f"index.json (OCI), or {', '.join(_SYSTEM)}"
        )
    return None


def _member(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    return next(member for member in archive.getmembers() if member.name.removeprefix("./") == name)


class _Saved(msgspec.Struct, frozen=True, rename={"tags": "RepoTags"}):
    tags: tuple[str, ...] | None = None


def _from_docker_archive(path: Path, manifest: bytes, scratch: Path) -> dict[str, Path]:
    try:
        entries = msgspec.json.decode(manifest, type=list[_Saved])
    except msgspec.MsgspecError as error:
        raise BadImage(f"{path}: its manifest.json is not what `docker save` writes: {error}") from error
    found, plain = {}, _plain(path, scratch)
    for number, entry in enumerate(entries):
        target = scratch / f"saved-{number}"
        _run(
            ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{plain}:@{number}", f"oci:{target}:it"],
            f"reading {path}",
        )
        for tag in entry.tags or ("",):
            found[tag] = target
    return found


def _split(layout: Path, scratch: Path) -> dict[str, Path]:
    try:
        images = images_in(layout)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadImage(f"{layout}: its index.json is not an OCI layout's: {error}") from error
    if len(images) > 1 and not all(image.name for image in images):
        raise BadImage(
            f"{layout} holds {len(images)} images, not all of which have a name: one cannot be told from the others"
        )
    found, plain = {}, _plain(layout, scratch)
    for number, image in enumerate(images):
        target = scratch / f"split-{number}"
        reference = f":{image.name}" if len(images) > 1 else ""
        _run(
            ["skopeo", "--insecure-policy", "copy", "-q", f"oci:{plain}{reference}", f"oci:{target}:it"],
            f"reading {layout}",
        )
        # A layout's own name is often no more than a tag, which says nothing.
        found[image.name if "/" in image.name or ":" in image.name else ""] = target
    return found


def _take(layout: Path, name: str, source: str, scratch: Path, say: Say) -> Imported:
    (image,) = images_in(layout)
    config, architecture = config_in(layout, image.digest)
    mine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    if architecture not in ("", mine):
        raise BadImage(f"{source} is for {architecture}, and this machine is {mine}")
    say(f"image: {name}")
    bundle = Path(tempfile.mkdtemp(prefix="bundle-", dir=scratch)) / "it"
    _run(["umoci", "unpack", "--image", f"{layout}:it", str(bundle)], f"unpacking {source}")
    root = bundle / "rootfs"
    return store.keep(name, digest([image.digest]), root, config, source, _size(root))


def _take_tree(archive: Path, name: str, scratch: Path, say: Say) -> Imported:
    say(f"image: {name} from a root file system")
    root = scratch / "tree"
    root.mkdir()
    _run(["tar", "-C", str(root), "--numeric-owner", "--xattrs", "-xpf", str(archive)], f"unpacking {archive}")
    key = digest([str(archive.resolve()), str(archive.stat().st_mtime_ns), str(archive.stat().st_size)])
    return store.keep(name, key, root, ImageConfig(), str(archive), _size(root))


def _take_directory(directory: Path, name: str, scratch: Path, say: Say) -> Imported:
    if not any((directory / place).exists() for place in _SYSTEM):
        raise BadImage(
            f"{directory} is no root file system and no OCI layout: it has neither index.json nor bin, usr or etc"
        )
    say(f"image: {name} from a directory")
    root = scratch / "copy"
    _run(["cp", "-a", "--reflink=auto", str(directory), str(root)], f"copying {directory}")
    root.chmod(0o755)
    # Its content has no digest: every import is another one.
    return store.keep(name, digest([str(root)]), root, ImageConfig(), str(directory), _size(root))


def _size(root: Path) -> int:
    return sum(p.lstat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink())
