"""What one end of an HTTP connection says and hears, whatever the version: bytes in, bytes out. Knows no sockets and no clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `backend` is None where it names none; `last`: it announced that the connection ends with it."""

    status: int
    backend: str | None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The other end takes no further request, as the protocol provides. `owes`: what is under way will still be answered."""

    owes: bool


@dataclass(frozen=True, slots=True)
class Offence:
    """What the protocol does not provide, or provides for failures: the connection is of no use any more."""

    by: Literal["reset", "closed"]


@dataclass(frozen=True, slots=True)
class Head:
    """An answer begins. Told only where answers are wanted without end; they may never be whole."""

    status: int
    backend: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """Some of an answer's body has come. Told where Head is."""


Heard = Answer | Goodbye | Offence | Head | Part

Fields = Sequence[tuple[str, str]]
"""Further fields of a request's header, each a name in lower case and a value."""


class Speech(Protocol):
    """One connection, one request at a time."""

    def ask(self) -> bytes:
        """The bytes of one more request; of the first, with whatever comes before it."""

    def hear(self, data: bytes) -> Sequence[Heard]:
        """Takes bytes of the other end."""

    def hang_up(self) -> Sequence[Heard]:
        """The other end has ended without an error: what may have ended an answer."""

    def owed(self) -> bytes:
        """Bytes that the protocol wants sent in return for what was heard."""
