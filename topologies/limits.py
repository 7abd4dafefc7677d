"""What a node may use of its host, and sizes and counts as containerlab reads them. Pure; knows no cgroup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_SIZE = re.compile(r"([0-9][0-9,]{0,17}(?:\.[0-9]{0,9})?)\s*([A-Za-z]*)")
_PREFIXES = ("k", "m", "g", "t", "p")
SIZE_RULE = "a size such as 512MB (powers of 1000) or 512MiB (of 1024)"
CPU_RULE = "a number of CPUs such as 0.5, at least 0.01"
CPU_SET_RULE = "CPU numbers and ranges such as 0-1 or 0,2-3"
_CPU_SET = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")
_CPUS = re.compile(r"\d{1,4}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Limits:
    """None: as much as there is. `memory`, `shm` in bytes, `cpus` in CPUs, `cpu_set` as cpuset(7) writes lists."""

    memory: int | None = None
    cpus: Fraction | None = None
    cpu_set: str | None = None
    shm: int | None = None


def size_of(text: str) -> int:
    """Bytes. `k`, `kB` and `KB` are 1000, `Ki` and `KiB` 1024, as containerlab's parser has it. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(text)
    number, unit = Fraction(found[1].replace(",", "").rstrip(".")), found[2].lower().removesuffix("b")
    step, prefix = (1024, unit[:-1]) if unit.endswith("i") else (1000, unit)
    if unit and prefix not in _PREFIXES:
        raise ValueError(text)
    return int(number * step ** (_PREFIXES.index(prefix) + 1 if unit else 0))


def cpus_of(text: str) -> Fraction:
    """A share of CPU time, in CPUs. Raises ValueError below what a kernel can give out (1 ms of every 100 ms)."""
    if not _CPUS.fullmatch(text) or Fraction(text) < Fraction(1, 100):
        raise ValueError(text)
    return Fraction(text)


def cpu_set_of(text: str) -> str:
    """A list of CPUs as the kernel reads it. Raises ValueError where a range runs backwards, too."""
    if not _CPU_SET.fullmatch(text):
        raise ValueError(text)
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise ValueError(text)
    return text
