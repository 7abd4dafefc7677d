"""Reads the files of variables that a node's `env-files` name: one NAME=VALUE a line, as containerlab's parser reads it."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*)")
RULE = "lines NAME=VALUE; values in quotes keep their spaces and '#'"


def read_env_file(path: Path) -> dict[str, str]:
    """The file's variables. Raises ValueError naming the line and what is wrong with it, OSError where it cannot be read.

    What depends on other variables (`$NAME`) or goes on over several lines is refused rather than taken to mean something else.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"line {number}: {line[:60]!r} is not NAME=VALUE")
        found[match[1]] = _value(match[2], number)
    return found


def _value(text: str, number: int) -> str:
    if text[:1] in ("'", '"'):
        quote = text[0]
        body, closed, rest = text[1:].partition(quote)
        if not closed or (rest.strip() and not rest.strip().startswith("#")):
            raise ValueError(f"line {number}: a quoted value that does not end on its line, or something behind it")
        if quote == "'":
            return body
        if "\\" in body:
            raise ValueError(
                f"line {number}: an escape in double quotes, which nospof does not read; use single quotes"
            )
    else:
        body = re.split(r"\s#", text, maxsplit=1)[0].strip()
    if "$" in body:
        raise ValueError(
            f"line {number}: a value made of other variables, which nospof does not read; use single quotes"
        )
    return body
