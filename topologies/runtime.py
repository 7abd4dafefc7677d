"""What every runtime can do, as a protocol, and the errors it raises. It knows no runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from topologies.model import Link, Topology

Say = Callable[[str], None]


class RuntimeFailure(Exception):
    """The host or a tool failed us; the message names what was being done and what was found. Exit code 3."""


class CommandTooLate(RuntimeFailure):
    """A command in a node had not ended when it should have."""


class RuntimeMissing(Exception):
    """A tool that the runtime drives is not installed, too old, or does not answer; the message says what would be right.
    Exit code 3."""


class LabExists(Exception):
    """A lab of that name is up already (or half torn down); the message says how to take it down. Exit code 2."""


class NoSuchLab(Exception):
    """No lab of that name is up. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Done:
    """Outcome of a command run in a node."""

    code: int
    out: str
    err: str


class Lab(Protocol):
    """A running lab, whatever runs it."""

    topology: Topology

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float = 10) -> Done:
        """Runs a command in a node. Raises RuntimeFailure when it cannot be started or does not end in time."""
        ...

    def copy_in(self, node: str, source: Path, target: str) -> None:
        """The host's file in a node, with its mode. Raises RuntimeFailure."""
        ...

    def copy_out(self, node: str, source: str, target: Path) -> None:
        """A node's file on the host, whole or not at all. Raises RuntimeFailure."""
        ...

    def freeze(self, nodes: Sequence[str]) -> None:
        """Stops every process of the nodes; their kernels go on. `thaw` undoes it."""
        ...

    def thaw(self, nodes: Sequence[str]) -> None: ...

    def netns(self, node: str) -> Path:
        """Path of the node's network namespace; it outlives the node's processes."""
        ...

    def kill(self, nodes: Sequence[str]) -> object:
        """Cuts all links of the nodes in one step, silently, then kills their processes and takes their XDP off."""
        ...

    def signal(self, node: str, process: str, number: int) -> tuple[int, ...]:
        """Sends a signal to every process of that command name in the node; the pids that got it."""
        ...

    def cut_link(self, link: Link) -> object:
        """Drops every frame on a link in one step, silently: carrier stays. `mend_link` undoes it."""
        ...

    def mend_link(self, link: Link) -> object: ...

    def drop_carrier(self, link: Link) -> object:
        """Cuts a link so that its ends notice at once. `raise_carrier` undoes it."""
        ...

    def raise_carrier(self, link: Link) -> None: ...

    def restart(self, nodes: Sequence[str]) -> None:
        """Starts killed nodes anew on mended links."""
        ...


Labs = Callable[[str], Lab]
