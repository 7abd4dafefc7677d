"""Environment variables in a topology file, replaced before anything else is read, as containerlab does it. Pure.

`$NAME` and `${NAME}` become the variable's value, and stay as they are where it is not set. `${NAME-text}` and `${NAME=text}` are
the text where it is not set, `${NAME:-text}` and `${NAME:=text}` also where it is empty; `${NAME+text}` and `${NAME:+text}` are
the text where the others would not be. Names do not begin with a digit. Source: containerlab's manual, topology definition file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-=+]")


class SubstitutionError(ValueError):
    """`line` says where, the message what would be right."""

    def __init__(self, line: int, found: str, expected: str) -> None:
        super().__init__(f"{found}: {expected}")
        self.line, self.found, self.expected = line, found, expected


def substitute(text: str, variables: Mapping[str, str], used: dict[str, str] | None = None) -> str:
    """The text with its variables replaced; `used` gets those that were asked for and set. Raises SubstitutionError."""
    done, at = _until(text, 0, _Asked(variables, {} if used is None else used), closing="")
    assert at == len(text)
    return done


@dataclass(frozen=True, slots=True)
class _Asked:
    """Variables, and which of them were asked for."""

    variables: Mapping[str, str]
    used: dict[str, str]

    def get(self, name: str) -> str | None:
        value = self.variables.get(name)
        if value is not None:
            self.used[name] = value
        return value


def _until(text: str, at: int, variables: _Asked, closing: str) -> tuple[str, int]:
    """Everything up to the closing brace, or the text's end where there is none to come."""
    parts: list[str] = []
    while at < len(text) and not (closing and text[at] == closing):
        dollar = text.find("$", at)
        stop = len(text) if dollar < 0 else dollar
        if closing and (brace := text.find(closing, at, stop)) >= 0:
            stop = brace
        if stop > at:
            parts.append(text[at:stop])
            at = stop
        else:
            part, at = _variable(text, at, variables)
            parts.append(part)
    return "".join(parts), at


def _variable(text: str, at: int, variables: _Asked) -> tuple[str, int]:
    """What stands for the dollar at `at`, and where it goes on."""
    if text.startswith("$$", at):
        if _NAME.match(text, at + 2) or text.startswith("{", at + 2):
            raise SubstitutionError(
                _line(text, at), repr(text[at : at + 12]), "one '$': an escaped one is not supported"
            )
        return "$$", at + 2
    if name := _NAME.match(text, at + 1):
        value = variables.get(name.group())
        return (f"${name.group()}" if value is None else value), name.end()
    if text.startswith("${", at):
        return _braced(text, at, variables)
    return "$", at + 1


def _braced(text: str, start: int, variables: _Asked) -> tuple[str, int]:
    line = _line(text, start)
    name = _NAME.match(text, start + 2)
    if name is None:
        raise SubstitutionError(line, repr(text[start : start + 12]), "a variable's name such as ${NAME}")
    value, at = variables.get(name.group()), name.end()
    operator = _OPERATOR.match(text, at)
    if operator is None:
        if not text.startswith("}", at):
            raise SubstitutionError(
                line, repr(text[start : at + 8]), "${NAME} or ${NAME:=what to take where it is not set}"
            )
        return (text[start : at + 1] if value is None else value), at + 1
    other, end = _until(text, operator.end(), variables, closing="}")
    if end >= len(text):
        raise SubstitutionError(line, repr(text[start : start + 12]), "a '}' at its end")
    missing = value is None or (operator.group().startswith(":") and not value)
    if operator.group().endswith("+"):
        return ("" if missing else other), end + 1
    return (other if missing else value or ""), end + 1


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
