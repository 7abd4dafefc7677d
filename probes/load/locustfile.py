"""A user's own locustfile: looked at in a process of its own, before anything is deployed, because importing Locust
replaces Python's sockets, and the file may do anything. Knows no lab and no target.
"""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probes.child import ProbeError

if TYPE_CHECKING:
    from locust import User

REPOSITORY = Path(__file__).resolve().parents[2]


class LoadError(ProbeError):
    """Load that could not be made; the message says by whom and why."""


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a locustfile; None when nothing is."""

    sentence: str | None


def check_locustfile(path: Path, deadline_s: float = 20.0) -> None:
    """Returns when Locust can run this file.

    Raises LoadError naming file, line and reason when it cannot be imported, does not finish within `deadline_s`, or
    defines no user that does something.
    """
    if not path.is_file():
        raise LoadError(f"{path}: no such locustfile")
    argv = [sys.executable, "-m", "probes.load.locustfile", str(path.resolve()), str(path)]
    try:
        done = subprocess.run(
            argv, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"{path}: its import did not finish within {deadline_s:g} s") from None
    try:
        finding = msgspec.json.decode(done.stdout.splitlines()[-1], type=Finding)
    except (IndexError, msgspec.DecodeError):
        raise LoadError(f"{path}: its import ended Python (exit code {done.returncode})") from None
    if finding.sentence is not None:
        raise LoadError(finding.sentence)


def load_users(path: Path, shown: str) -> list[type[User]]:
    """Imports a locustfile here and now and returns its user classes, by name.

    Raises LoadError as `check_locustfile` does; `shown` is how the file is called in it.
    """
    from locust.util.load_locustfile import load_locustfile  # noqa: PLC0415 - it replaces this process's sockets

    try:
        classes, shapes = load_locustfile(str(path))
    except (Exception, SystemExit) as error:
        raise LoadError(_where(error, path, shown)) from error
    if shapes:
        raise LoadError(
            f"{shown}: defines the LoadTestShape {type(shapes[0]).__name__}: "
            "load stays the same through all phases, or they could not be compared; remove it"
        )
    if not classes:
        raise LoadError(f"{shown}: defines no Locust user; write a class of HttpUser or FastHttpUser with a @task")
    for name, cls in classes.items():
        if not cls.tasks:
            raise LoadError(f"{shown}: the user {name} has no @task")
    if all(cls.weight <= 0 and not cls.fixed_count for cls in classes.values()):
        raise LoadError(f"{shown}: no user has a weight above 0")
    return [classes[name] for name in sorted(classes)]


def _where(error: BaseException, path: Path, shown: str) -> str:
    """`file:line: Exception: its last sentence`, the line being the last one of the file that led there."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    said = (error.msg if isinstance(error, SyntaxError) else str(error)).strip().splitlines()
    name = type(error).__name__
    line = f":{lines[-1]}" if lines and lines[-1] is not None else ""
    return f"{shown}{line}: {name}: {said[-1].strip()}" if said else f"{shown}{line}: {name}"


def _main(path: str, shown: str) -> None:
    sentence = None
    try:
        load_users(Path(path), shown)
    except LoadError as error:
        sentence = str(error)
    print("\n" + msgspec.json.encode(Finding(sentence)).decode(), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
