"""A signal reaches those that are forked while the list is read, and not those that come back in answer to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.linux import signals
from topologies.linux.signals import PASSES, signal_all, started_ticks


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    made = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    yield made
    for one in made:
        one.kill()
        one.wait()


def _listing(*lists: Sequence[int]) -> tuple[list[int], signals.Find]:
    """What is found at each look, the last for ever; and how often it was looked."""
    looks: list[int] = []

    def find() -> Sequence[int]:
        looks.append(1)
        return lists[min(len(looks), len(lists)) - 1]

    return looks, find


def test_one_that_was_forked_while_the_list_was_read_gets_it_too(sleepers: list[subprocess.Popen[bytes]]) -> None:
    first, second, _ = (one.pid for one in sleepers)
    _, find = _listing([first], [first, second])
    assert signal_all(find, signal.SIGKILL, contextlib.nullcontext) == (first, second)
    assert [one.wait(5) for one in sleepers[:2]] == [-signal.SIGKILL] * 2
    assert sleepers[2].poll() is None


def test_one_that_begins_after_the_signal_is_left_alone(
    sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = (one.pid for one in sleepers)
    began = started_ticks(second)
    assert began is not None
    monkeypatch.setattr(signals, "now_ticks", lambda: began - 1)
    _, find = _listing([first], [first, second])
    assert signal_all(find, signal.SIGKILL, contextlib.nullcontext) == (first,)
    assert sleepers[1].poll() is None


@given(st.integers(0, 9))
def test_it_ends_however_fast_they_fork_and_holds_them_still_only_then(forks: int) -> None:
    """Each pid is gone by the time it is signalled, and has left a child: as a chain of forks does."""
    gone = 2**22 + 1  # more than any kernel gives out
    looks, find = _listing(*([gone + n] for n in range(forks)), [])
    held: list[int] = []

    @contextlib.contextmanager
    def still() -> Iterator[None]:
        held.append(len(looks))
        yield

    assert signal_all(find, signal.SIGKILL, still) == ()
    assert held == [min(forks + 1, PASSES)]
    assert len(looks) <= PASSES + 1


def test_our_own_start_is_before_now_on_the_same_clock() -> None:
    began = started_ticks(os.getpid())
    assert began is not None
    assert 0 < began <= signals.now_ticks()
    assert started_ticks(2**22 + 1) is None
