"""A harness that waits for CPU says so, and one that has it does not."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scenarios.own_cpu import LEAST_NS, MOST_WAITING, OwnCpu


def _account(path: Path, ran: int, waited: int) -> None:
    path.write_text(f"{ran} {waited} 7\n")


def test_who_waits_much_longer_than_it_runs_is_starved_and_only_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "schedstat"
    _account(path, 1_000_000_000, 9_000_000_000)
    own = OwnCpu(path)
    assert own.starved() == "", "what was before is not looked at"
    _account(path, 1_100_000_000, 11_000_000_000)
    assert own.starved() == "nospof itself waits for a CPU 20 times as long as it uses one"
    _account(path, 1_400_000_000, 11_300_000_000)
    assert own.starved() == ""


def test_a_host_without_the_account_starves_nobody(tmp_path: Path) -> None:
    assert OwnCpu(tmp_path / "none").starved() == ""


def test_the_kernel_keeps_this_account() -> None:
    own = OwnCpu()
    sum(range(3_000_000))
    assert own._read()[0] > 0
    assert own._read() >= own._before


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_the_limit_is_where_it_is_said_to_be(ran: int, waited: int) -> None:
    own = OwnCpu(Path("/nowhere"))
    own._read = lambda: (ran, waited)  # type: ignore[method-assign]
    assert bool(own.starved()) == (ran + waited >= LEAST_NS and waited > MOST_WAITING * ran)
