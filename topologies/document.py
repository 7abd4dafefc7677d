"""Reads a YAML file as a graph of values that know their line, and collects what is wrong with it.

Must not know topologies or contracts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from topologies.problems import BadInput, Problem, closest, one_of

_TAG = "tag:yaml.org,2002:"
_SHOWN = 60


def shown(text: str) -> str:
    """Quoted on one line, cut where it would drown the message."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


@dataclass(slots=True)
class Document:
    """A file's text and the problems found in it so far."""

    file: Path
    text: str
    problems: list[Problem] = field(default_factory=list)

    def complain(self, line: int, where: str, found: str, expected: str) -> None:
        self.problems.append(Problem(self.file, line, where, found, expected))

    def refuse_if_bad(self) -> None:
        """Raises BadInput with all that was collected, if anything was."""
        if self.problems:
            raise BadInput(self.problems)

    def root(self) -> Value:
        """The whole file as a value. Raises BadInput on a syntax error: nothing behind one can be trusted."""
        try:
            node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            self.complain(line, "syntax", f"the character {chr(error.character)!a}", "printable characters")
        except RecursionError:
            self.complain(0, "syntax", "values nested too deeply to read", "the few levels of a containerlab file")
        else:
            if node is not None:
                return Value(self, node, "", node.start_mark.line + 1)
            self.complain(0, "syntax", "an empty file", "a mapping of keys to values")
        raise BadInput(self.problems)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        found = error.problem or "something that is not YAML"
        if error.context and error.context_mark:
            found += f" ({error.context} that begins on line {error.context_mark.line + 1})"
        expected = "spaces, not tabs, before a key" if r"'\t'" in found else "valid YAML"
        self.complain(mark.line + 1 if mark else 0, "syntax", " ".join(found.split()), expected)


def read_document(path: Path, what: str) -> Document:
    """The file's text, UTF-8. Raises BadInput if it cannot be read; `what` says what kind of file was looked for."""
    try:
        return Document(path, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput([Problem(path, line, "syntax", f"the byte {error.object[error.start]:#04x}", "UTF-8")]) from None
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise BadInput([Problem(path, 0, "file", found, what)]) from None


@dataclass(frozen=True, slots=True)
class Value:
    """A YAML node with its path in the file (`topology.nodes.a.image`) and the line of its key."""

    document: Document = field(repr=False)
    node: yaml.Node = field(repr=False)
    path: str
    key_line: int

    @property
    def line(self) -> int:
        """Where to look: a scalar's own line; for a mapping or a list, that of its key."""
        return self.node.start_mark.line + 1 if isinstance(self.node, yaml.ScalarNode) else self.key_line

    @property
    def absent(self) -> bool:
        """`key:` with nothing after it; containerlab takes it as not given, so we do."""
        return bool(self.node.tag == _TAG + "null")

    @property
    def shape(self) -> str:
        """What stands there, in words for a message."""
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return f"a list of {len(self.node.value)}"
        return "nothing" if self.absent else shown(self.node.value)

    def complain(self, expected: str, found: str | None = None) -> None:
        self.document.complain(self.line, self.path or "file", found or self.shape, expected)

    def complain_of_key(self, found: str, expected: str) -> None:
        self.document.complain(self.key_line, self.path, found, expected)

    def complain_missing(self, key: str, expected: str) -> None:
        self.document.complain(self.key_line, self._below(key), "nothing", expected)

    def _below(self, key: str) -> str:
        # A field is told on one line, whatever a key is made of.
        name = key if key.isprintable() and 0 < len(key) <= _SHOWN else shown(key)
        return f"{self.path}.{name}" if self.path else name

    def entries(self, expected: str) -> dict[str, Value]:
        """A mapping's values by key, each key once; `<<` is merged as YAML says. Empty if absent or not a mapping."""
        if self.absent:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            self.complain(expected)
            return {}
        return self._entries_of(self.node, frozenset())

    def _entries_of(self, node: yaml.MappingNode, seen: frozenset[int]) -> dict[str, Value]:
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _TAG + "merge":
                merged = self._merged(value, line, seen | {id(node)}) | merged
            elif not isinstance(key, yaml.ScalarNode):
                self.document.complain(line, self.path or "file", "a key that is itself a collection", "a name")
            elif key.value in own:
                first = own[key.value].key_line
                self.document.complain(
                    line, self._below(key.value), f"this key again, first on line {first}", "every key once"
                )
            else:
                own[key.value] = Value(self.document, value, self._below(key.value), line)
        return merged | own

    def _merged(self, node: yaml.Node, line: int, seen: frozenset[int]) -> dict[str, Value]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Value] = {}
        for source in sources:
            if isinstance(source, yaml.MappingNode) and id(source) not in seen:
                merged = self._entries_of(source, seen) | merged
            else:
                self.document.complain(line, self._below("<<"), "something else", "an alias of another mapping")
        return merged

    def fields(
        self,
        what: str,
        supported: Collection[str],
        refused: Collection[str] = (),
        misplaced: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Value]:
        """Like `entries`, but only of the supported keys and only those given; any other key is a problem.

        `refused` are keys that containerlab knows and nospof does not act on yet: acting as if they were
        not there would deploy something else than the file says. `misplaced` are keys that look right, each with what is right."""
        given: dict[str, Value] = {}
        for key, value in self.entries(f"{what}: a mapping with keys out of {', '.join(sorted(supported))}").items():
            if key in supported:
                if not value.absent:
                    given[key] = value
            elif key in refused:
                value.complain_of_key(
                    f"the key {key!r}", "a file without it: it is known to containerlab, not supported by nospof yet"
                )
            elif key in misplaced:
                value.complain_of_key(f"the key {key!r} in {what}", misplaced[key])
            else:
                hint = closest(key, [*supported, *refused])
                value.complain_of_key(f"the unknown key {shown(key)}", f"a key of {what}, {one_of(supported)}{hint}")
        return given

    def items(self, expected: str) -> list[Value]:
        """A list's values; empty if absent or not a list."""
        if self.absent:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            self.complain(expected)
            return []
        return [
            Value(self.document, item, f"{self.path}[{index}]", item.start_mark.line + 1)
            for index, item in enumerate(self.node.value)
        ]

    def text(self, expected: str) -> str | None:
        """A scalar's text as written (`1.10` stays `1.10`, `yes` stays `yes`); None, and a problem, otherwise."""
        if not isinstance(self.node, yaml.ScalarNode) or self.absent:
            self.complain(expected)
            return None
        if "\0" in self.node.value:
            self.complain(expected, "a NUL character")
            return None
        return str(self.node.value)

    @property
    def written(self) -> str | None:
        """A scalar as it stands in the file, quotes and escapes and all; None where there is no text."""
        if not isinstance(self.node, yaml.ScalarNode) or self.absent or self.node.tag == _TAG + "binary":
            return None
        return self.document.text[self.node.start_mark.index : self.node.end_mark.index]

    @property
    def double_quoted(self) -> bool:
        """Whether YAML reads escapes such as `\\n` in it."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.style == '"'

    def integer(self, low: int, high: int, expected: str) -> int | None:
        """A decimal whole number in low..high. YAML's octal and base 60 are refused: nobody means them."""
        plain = isinstance(self.node, yaml.ScalarNode) and self.node.tag == _TAG + "int"
        # The length is bounded before conversion: Python refuses to convert thousands of digits.
        if plain and re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", self.node.value) and low <= int(self.node.value) <= high:
            return int(self.node.value)
        self.complain(expected)
        return None
