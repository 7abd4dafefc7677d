"""Compiles the project's C: programs for the host or a node, and BPF objects. Knows compilers, not what is compiled."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from topologies.image.cache import cached_file, digest

_OWN_HEADER = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


class CompileError(Exception):
    """A compiler is missing or refused a source; the message holds the command and the compiler's own words."""


def _run(argv: list[str]) -> None:
    if shutil.which(argv[0]) is None:
        raise CompileError(f"{argv[0]} is not installed; `./nospof` installs it, or: apt-get install {argv[0]}")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(f"{' '.join(argv)}\n{done.stderr}")


def _parts(source: Path) -> list[Path]:
    """All of a program's files: the source, and what a folder of its name beside it holds."""
    return [source, *sorted(source.with_suffix("").glob("*.c"))]


def _key(parts: list[Path], flags: list[str]) -> str:
    headers: set[Path] = set()
    for part in parts:
        _add_headers(part, headers)
    return digest([*(p.read_bytes() for p in (*parts, *sorted(headers))), *flags, platform.machine()])


def _add_headers(source: Path, found: set[Path]) -> None:
    """The project's own headers that a file includes, and theirs."""
    for name in _OWN_HEADER.findall(source.read_text()):
        header = (source.parent / name).resolve()
        if header.is_file() and header not in found:
            found.add(header)
            _add_headers(header, found)


def compile_program(source: Path, *, shared: bool = False, libraries: Sequence[str] = ()) -> Path:
    """A C source as a static program (or a shared object for LD_PRELOAD), from the cache or built now.

    `NAME.c` may have further sources in a folder `NAME` beside it: they are compiled into the same program. With `libraries` it
    is linked dynamically, to this host's own: for programs that run on the host alone.
    """
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
    flags += ["-shared", "-fPIC"] if shared else [] if libraries else ["-static"]
    links = [f"-l{library}" for library in libraries]
    name = source.stem + (".so" if shared else "")
    parts = _parts(source)
    key = _key(parts, [*flags, *(_version(library) for library in libraries)])
    return cached_file("native", name, key, lambda out: _run(["gcc", *flags, "-o", str(out), *map(str, parts), *links]))


@cache
def _version(library: str) -> str:
    """The name of the file that a program linked to a library finds at run time: a new one needs the program built anew."""
    asked = ["gcc", f"-print-file-name=lib{library}.so"]
    if shutil.which(asked[0]) is None:
        return library
    return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()).resolve().name


def compile_bpf(source: Path) -> Path:
    """A `*.bpf.c` as an object file with BTF, from the cache or built now."""
    multiarch = f"/usr/include/{platform.machine()}-linux-gnu"
    flags = ["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3", f"-I{multiarch}"]
    name = source.name.removesuffix(".bpf.c") + ".bpf.o"
    return cached_file(
        "native", name, _key([source], flags), lambda out: _run(["clang", *flags, "-c", "-o", str(out), str(source)])
    )
