"""A scenario at its targets: which are played, under which keys, how often once more, and when nothing is played at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reports.evidence import schema
from scenarios import playing
from scenarios.asked import Play
from scenarios.catalogue import ENTRIES
from scenarios.phases import NothingCarries
from scenarios.playing import FURTHER_ATTEMPTS, Played, Player
from tests.topologies.files import small_topology

KILL = ENTRIES["kill-l4"]


@dataclass
class Bench:
    """What a player asks of a bench, and what it was told. `whole`: what `make_whole` answers, one after another."""

    carries: frozenset[str] = frozenset()
    whole: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    written: list[tuple[str | None, schema.Verdict]] = field(default_factory=list)
    eased: list[str] = field(default_factory=list)
    broken: str = ""
    booted: Any = None
    instruments: Any = field(default_factory=lambda: SimpleNamespace(interval_ns=10_000_000))

    def carrying(self) -> frozenset[str]:
        return self.carries

    def make_whole(self) -> str:
        return self.whole.pop(0) if self.whole else ""

    def say(self, line: str) -> None:
        self.said.append(line)

    def thin(self, _: str) -> bool:
        self.eased.append("thin")
        return True

    def calm(self, _: float) -> None:
        self.eased.append("calm")

    @property
    def writer(self) -> Any:
        return SimpleNamespace(write=lambda verdict, **at: self.written.append((at["scenario"], verdict)))


@dataclass
class Decided:
    """In place of a trial on a lab: one that has its verdict already, by its key."""

    bench: Any
    entry: Any
    build: Any
    reproduce: Any
    key: str
    earlier: str = ""
    disturbed: bool = False

    def run(self) -> Any:
        fault = self.build(self.bench)
        outcome = OUTCOMES.get(self.key, "pass")
        if isinstance(outcome, Exception):
            raise outcome
        word, _, how = outcome.partition(" ")
        self.disturbed = how == "disturbed"
        TRIALS.append((self.key, fault.plan.target, self.earlier, self.reproduce(fault)))
        verdict = SimpleNamespace(verdict=word, headline=f"It was {word}.", reason="So it was.")
        return SimpleNamespace(
            verdict=verdict, judged=SimpleNamespace(counts=how != "not promised", reason="So it was.")
        )


OUTCOMES: dict[str, Any] = {}
TRIALS: list[tuple[str, str, str, str]] = []


@pytest.fixture(autouse=True)
def _decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "Scenario", Decided)
    OUTCOMES.clear()
    TRIALS.clear()


def make(_: object, target: str) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(target=target))


def play(bench: Bench, play_: Play, player: Player | None = None, options: Sequence[str] = ()) -> list[Played]:
    chosen = player or Player()
    return [chosen.play(cast(Any, bench), play_, target, make, options) for target in play_.targets or (None,)]


def at(*targets: str) -> Play:
    return Play(KILL, targets=targets)


# -- targets and keys ----------------------------------------------------------------------------------------------


def test_what_is_played_twice_has_evidence_of_its_own_each_time() -> None:
    """As a test file of the user's own may do."""
    OUTCOMES.update({"kill-l4 (2)": "unknown disturbed", "kill-l4 (2) again": "fail"})
    bench, player = Bench(), Player()
    found = [play(bench, at("l41"), player) for _ in range(3)]
    assert [(one.key, one.word) for [one] in found] == [
        ("kill-l4", "pass"), ("kill-l4 (2) again", "fail"), ("kill-l4 (3)", "pass"),
    ]  # fmt: skip


def test_one_target_is_played_under_the_scenarios_own_name() -> None:
    (found,) = play(Bench(), at("eu-l4-1"))
    assert (found.key, found.word, found.counts) == ("kill-l4", "pass", True)
    assert [(key, target) for key, target, _, _ in TRIALS] == [("kill-l4", "eu-l4-1")]


def test_each_of_several_targets_has_a_key_of_its_own() -> None:
    OUTCOMES["kill-l4 eu-l4-2"] = "fail"
    player = Player()
    found = play(Bench(), at("eu-l4-1", "eu-l4-2", "us-l4-1"), player)
    assert [(p.key, p.word) for p in found] == [
        ("kill-l4 eu-l4-1", "pass"),
        ("kill-l4 eu-l4-2", "fail"),
        ("kill-l4 us-l4-1", "pass"),
    ]
    assert player.played == found


def test_a_command_that_repeats_it_names_the_target_and_the_options_of_the_run() -> None:
    play(Bench(), at("eu-l4-1"), options=["--topology", "my lab.yml"])
    assert TRIALS[0][3] == "./nospof run kill-l4 --target eu-l4-1 --topology 'my lab.yml'"


# -- a default target: the first that carries traffic --------------------------------------------------------------


def test_the_first_candidate_that_carries_is_the_target() -> None:
    candidates = Play(KILL, candidates=("eu-l4-1", "eu-l4-2", "us-l4-1"))
    for carries, target in (({"eu-l4-1", "us-l4-1"}, "eu-l4-1"), ({"us-l4-1", "eu-edge-1"}, "us-l4-1")):
        TRIALS.clear()
        (found,) = play(Bench(carries=frozenset(carries)), candidates)
        assert (found.key, TRIALS[0][1]) == ("kill-l4", target)


def test_where_none_carries_it_is_unknown_and_nothing_is_broken() -> None:
    bench = Bench(carries=frozenset({"eu-edge-1"}))
    (found,) = play(bench, Play(KILL, candidates=("eu-l4-1", "eu-l4-2")))
    assert (found.word, found.counts) == ("unknown", True)
    assert TRIALS == []
    ((scenario, verdict),) = bench.written
    assert (scenario, verdict.verdict, verdict.judged) == ("kill-l4", "unknown", ())
    assert "None of eu-l4-1, eu-l4-2 carries traffic to a VIP" in verdict.reason
    assert bench.said == [f"kill-l4: UNKNOWN: {verdict.reason}"]
    assert not bench.broken


def test_a_target_that_was_named_is_played_though_it_carries_nothing() -> None:
    play(Bench(carries=frozenset()), at("eu-l4-1"))
    assert TRIALS[0][1] == "eu-l4-1"


def test_a_region_carries_if_a_node_of_it_does_and_its_clients_do_not_count() -> None:
    region = Play(ENTRIES["kill-region"], candidates=("eu", "us"))
    names = {"eu": ("client0", "l41"), "us": ("l42",)}
    roles = {"client0": "client", "l41": "l4", "l42": "l4"}
    nodes = {r: [SimpleNamespace(name=n, role=roles[n]) for n in some] for r, some in names.items()}
    booted = SimpleNamespace(topology=SimpleNamespace(nodes_in_region=lambda r: nodes[r]))
    for carries, target in (({"client0", "l42"}, "us"), ({"client0", "l41"}, "eu")):
        TRIALS.clear()
        play(Bench(carries=frozenset(carries), booted=booted), region)
        assert TRIALS[0][1] == target


def test_a_link_is_named_as_topologies_name_it() -> None:
    topology = small_topology("edge", "l4")
    (link,) = map(str, topology.links)
    play(Bench(carries=frozenset({link})), Play(ENTRIES["cut-link"], candidates=("edge0:other–x:y", link)))
    assert TRIALS[0][1] == link


@pytest.mark.parametrize("number", [0, 1])
def test_of_a_node_whose_links_are_meant_the_first_is_cut_that_carries(number: int) -> None:
    topology = small_topology("l4", "edge", "l4")
    cut = topology.links_of("edge1")[number]
    booted, asked = SimpleNamespace(topology=topology), Play(ENTRIES["cut-link"], targets=("edge1",))
    play(Bench(carries=frozenset({str(cut)}), booted=booted), asked)
    assert TRIALS[0][:2] == ("cut-link", str(cut))
    play(Bench(carries=frozenset(), booted=booted), asked)
    assert TRIALS[1][1] == str(topology.links_of("edge1")[0]), "named by hand: it stands by"


# -- once more -----------------------------------------------------------------------------------------------------


def test_what_too_little_cpu_left_unknown_is_tried_once_more_and_the_last_attempt_counts() -> None:
    OUTCOMES["kill-l4"] = "unknown disturbed"
    bench, player = Bench(), Player()
    (found,) = play(bench, at("eu-l4-1"), player)
    assert (found.key, found.word) == ("kill-l4 again", "pass")
    assert player.played == [found]
    assert bench.eased == ["thin", "calm"]
    assert [(key, earlier) for key, _, earlier, _ in TRIALS] == [
        ("kill-l4", ""),
        ("kill-l4 again", "So it was."),
    ]


@pytest.mark.parametrize("word", ["pass", "fail", "unknown"])
def test_what_is_not_put_down_to_busy_cpus_is_not_tried_again(word: str) -> None:
    OUTCOMES["kill-l4"] = word
    (found,) = play(Bench(), at("eu-l4-1"))
    assert (found.word, len(TRIALS)) == (word, 1)


def test_a_further_attempt_that_is_disturbed_as_well_is_the_last_of_its_target() -> None:
    OUTCOMES.update({"kill-l4": "unknown disturbed", "kill-l4 again": "unknown disturbed"})
    (found,) = play(Bench(), at("eu-l4-1"))
    assert (found.word, len(TRIALS)) == ("unknown", 2)


def test_a_run_has_three_further_attempts_and_no_more() -> None:
    targets = [f"l4-{n}" for n in range(6)]
    OUTCOMES.update({f"kill-l4 {target}": "unknown disturbed" for target in targets})
    player = Player()
    found = play(Bench(), at(*targets), player)
    assert [p.word for p in found] == ["pass"] * FURTHER_ATTEMPTS + ["unknown"] * 3
    assert (FURTHER_ATTEMPTS, player.attempts_left) == (3, 0)
    assert len(player.played) == 6, "of each target its last attempt"


def test_the_stack_at_rest_is_tried_once_more_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def judge_at_rest(_: object, key: str) -> Any:
        asked.append(key)
        return SimpleNamespace(verdict="unknown" if key == "steady" else "pass", reason="So it was.", disturbed=True)

    monkeypatch.setattr(playing.at_rest, "wanted", lambda _: True)
    monkeypatch.setattr(playing.at_rest, "judge_at_rest", judge_at_rest)
    bench, player = Bench(), Player()
    player.at_rest(cast(Any, bench))
    (found,) = player.played
    assert (found.word, asked, bench.eased) == ("pass", ["steady", "steady again"], ["thin", "calm"])
    player.attempts_left = 0
    player.at_rest(cast(Any, bench))
    assert asked[2:] == ["steady"], "and not again where none is left"


# -- what was not promised -----------------------------------------------------------------------------------------


def test_what_is_not_promised_is_told_and_counts_for_nothing() -> None:
    OUTCOMES["kill-l4"] = "unknown not promised"
    (found,) = play(Bench(), at("eu-l4-1"))
    assert (found.word, found.counts) == ("unknown", False)
    assert "It was unknown." in found.said


# -- a lab that is not whole ---------------------------------------------------------------------------------------


def test_over_a_lab_that_could_not_be_made_whole_no_trial_begins() -> None:
    bench = Bench(whole=["a reset does not mend it", ""])
    first, second = play(bench, at("eu-l4-1", "eu-l4-2"))
    assert (first.word, second.word) == ("unknown", "pass")
    assert "could not be made whole after the trial before: a reset does not mend it." in first.said
    assert [target for _, target, _, _ in TRIALS] == ["eu-l4-2"]
    ((scenario, verdict),) = bench.written
    assert (scenario, verdict.verdict) == ("kill-l4 eu-l4-1", "unknown")


def test_a_trial_that_ended_nobody_knows_how_leaves_a_lab_that_is_looked_at_first() -> None:
    OUTCOMES["kill-l4"] = OSError("no space left")
    bench = Bench()
    with pytest.raises(OSError, match="no space left"):
        play(bench, at("eu-l4-1"))
    assert bench.broken == "kill-l4 ended with OSError: no space left"


def test_a_scenario_without_a_target_that_carries_leaves_no_broken_lab() -> None:
    OUTCOMES["kill-l4"] = NothingCarries("None of them carries traffic")
    bench = Bench()
    (found,) = play(bench, at("eu-l4-1"))
    assert (found.word, bench.broken) == ("unknown", "")
