"""A stack is back when all of it is, when that is looked at last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scenarios import back as back_module
from scenarios.back import Back
from scenarios.instruments import GRACE_NS
from scenarios.losses import Losses
from scenarios.phases import not_back, not_whole
from scenarios.serving import baseline
from scenarios.verdict import Heal
from scenarios.verdict.standing import SETTLE_NS
from tests.scenarios.lossy import STEP, Instruments, Prober, S
from tests.topologies.files import small_topology

VIP = "203.0.113.10"
BOTH = frozenset({f"route {VIP}/32 table 254 dev 2 dev 3"})
ONE = frozenset({f"route {VIP}/32 table 254 dev 2"})


@dataclass
class Stack:
    """client0 - l41 as it is now: the balancer's routes and programs. `unsteady`: what is wrong with the clients."""

    lines: frozenset[str] = BOTH
    names: set[str] = field(default_factory=lambda: {"agent"})
    unsteady: str = ""
    topology = small_topology("client", "l4")

    def snapshot(self, node: str) -> frozenset[str]:
        return self.lines if node == "l41" else frozenset()

    def snapshots(self, nodes: list[str]) -> dict[str, frozenset[str]]:
        return {node: self.snapshot(node) for node in nodes}

    def pids(self, node: str) -> dict[int, str]:
        return dict(enumerate(self.names, 1)) if node == "l41" else {}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    found = Stack()
    monkeypatch.setattr(back_module, "Stillness", lambda _: SimpleNamespace(missing=lambda: ""))
    monkeypatch.setattr(
        back_module,
        "programs",
        lambda lab: {n: {name: [1] for name in lab.pids(n).values()} for n in lab.topology.nodes},
    )
    return found


def returning(stack: Stack, losses: Losses | None = None, heal_ns: int = 0, quiet_ns: int = -SETTLE_NS) -> Back:
    """Its clients have lost nothing for as long as is wanted, or this."""
    instruments: Any = (
        losses.instruments
        if losses
        else SimpleNamespace(
            last_losses=lambda _: {}, unsteady=lambda _: stack.unsteady, probers={}, requesters={}, grace_ns=GRACE_NS
        )
    )
    bench = SimpleNamespace(
        booted=SimpleNamespace(lab=stack, topology=stack.topology),
        baseline=baseline([{"l41": BOTH}], ["l41"], [VIP], {"l41": frozenset({"agent"})}),
        instruments=instruments,
    )
    return Back(cast(Any, bench), losses or Losses(instruments, 0, 0), heal_ns=heal_ns, quiet_ns=quiet_ns)


def test_what_lacks_nothing_is_back(stack: Stack) -> None:
    assert returning(stack).missing() == ""


@pytest.mark.parametrize(
    ("lost", "says"),
    [({"names": set()}, "agent does not run in l41"), ({"lines": ONE}, f"l41 has 1 of 2 ways to {VIP}")],
)
def test_what_was_whole_and_is_no_more_is_not_back(stack: Stack, lost: dict[str, Any], says: str) -> None:
    """A program that dies a second after its start; a session that falls when its hold time runs out."""
    back = returning(stack)
    stack.unsteady = "probes of a are lost"
    assert back.missing() == "probes of a are lost"
    stack.unsteady = ""
    for name, value in lost.items():
        setattr(stack, name, value)
    assert back.missing() == says
    assert back.missing() == says, "and is waited for"
    stack.names, stack.lines = {"agent"}, BOTH
    assert back.missing() == ""
    assert back.since_ns > 0, "since it was whole again"


# -- loss at rest --------------------------------------------------------------------------------------------------


def back_beside(stack: Stack, lost: set[int], healed_s: float = 12) -> str:
    """What is missing where these probes were lost, of 500 in the control window and those since a heal after it."""
    heal = time.monotonic_ns() - int(healed_s * S)
    start = heal - 5 * S
    seen = Instruments({"probes of us": start + max(lost) * STEP}, probers={"us": Prober(start, frozenset(lost))})
    return returning(stack, Losses(cast(Any, seen), start, heal), heal, 5 * S).missing()


@pytest.mark.parametrize("last", [1600, 1695])
def test_loss_that_goes_on_as_at_rest_keeps_no_stack_from_being_back(stack: Stack, last: int) -> None:
    """Not even where the last loss is of the last second."""
    assert back_beside(stack, {50, 300, *range(550, 1500, 250), last}) == ""


@pytest.mark.parametrize("more", [set(range(1600, 1640)), set(range(1400, 1600, 5))], ids=["longer", "denser"])
def test_more_loss_than_at_rest_does(stack: Stack, more: set[int]) -> None:
    assert back_beside(stack, {100, 300} | more) == "no 5 s without loss yet"


def test_where_answers_take_longer_at_rest_quiet_is_known_that_much_later(stack: Stack) -> None:
    healed = time.monotonic_ns() - 6 * S
    seen = Instruments(grace_ns=1_200_000_000)
    assert returning(stack, Losses(cast(Any, seen), healed - 5 * S, healed), healed, 5 * S).missing()
    patient = healed - S
    assert not returning(stack, Losses(cast(Any, seen), patient - 5 * S, patient), patient, 5 * S).missing()


# -- not back ------------------------------------------------------------------------------------------------------

LACKS, DEAD, WAITED = "l41 has 0 of 2 ways", "The prober of us has ended or is stopped.", "no 5 s without loss yet"


@pytest.mark.parametrize("unseen", ["", DEAD])
@pytest.mark.parametrize("lossy", [False, True])
def test_what_a_node_lacks_by_its_own_kernel_is_told_whoever_died_meanwhile(unseen: str, lossy: bool) -> None:
    assert not_back(LACKS, unseen, WAITED, lossy=lossy) == (LACKS, "")


def test_what_lacks_nothing_and_nobody_saw_is_not_known_to_be_back() -> None:
    assert not_back("", DEAD, WAITED, lossy=False) == ("", DEAD)
    missing, doubt = not_back("", "", WAITED, lossy=True)
    assert not missing
    assert "lost at rest" in doubt
    assert not_back("", "", WAITED, lossy=False) == (WAITED, "")


@pytest.mark.parametrize(
    ("heal", "unseen"),
    [
        (Heal(ours_left="queue at l41:eth1"), ""),
        (Heal(missing=LACKS), ""),
        (Heal(refused="`l7ctl undrain` ended with 1", back_ns=0), ""),
        (Heal(), DEAD),
    ],
)
def test_no_trial_begins_on_what_is_not_seen_to_be_whole(heal: Heal, unseen: str) -> None:
    """An L7 that refused to serve again: the next kill would take the only one that does."""
    assert not_whole(heal, unseen)


def test_a_stack_that_is_back_or_loses_as_ever_is_whole() -> None:
    assert not not_whole(Heal(back_ns=3 * S), "")
    assert not not_whole(Heal(back_ns=None), "")
