"""Why a probe died: who knows best is believed, and what nobody knows is said to be unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from probes.attribution.reasons import Cause, Counted, Handed, Knowledge, Lost, Told, cause, totals, with_counters
from probes.attribution.trail import Place
from probes.flows import CORRUPT, LATE, LOST, REFUSED

MS = 1_000_000


def _lost(place: Place | None, state: int = LOST, ends_at: frozenset[str] = frozenset()) -> Lost:
    return Lost("client", 7, 40, 1_000 * MS, state, place, ends_at)


def test_a_cut_link_is_named_with_its_interface_and_a_dead_node_beyond_it_is_why() -> None:
    at = _lost(Place("edge", "l4", interface="eth2"))
    assert cause(at, Knowledge()) == Cause("edge", "link cut", "cut", "eth2", "l4")
    assert cause(at, Knowledge(dead=("l4",))).reason == "node dead"


def test_the_kernels_word_counts_at_the_last_element_only() -> None:
    told = {("client", 7, 40): (Told("edge", "eth1", "IP_INNOROUTES"),)}
    assert cause(_lost(Place("edge")), Knowledge(told=told)) == Cause("edge", "IP_INNOROUTES", "kernel", "eth1")
    assert cause(_lost(Place("l4")), Knowledge(told=told)).source == "none"
    assert cause(_lost(None), Knowledge(told=told)).node == "edge"


def test_a_probe_noted_on_a_link_may_have_died_in_the_queue_before_it() -> None:
    told = {("client", 7, 40): (Told("edge", "eth2", "QDISC_DROP"),)}
    at = _lost(Place("l7", via="edge", interface="eth2"), ends_at=frozenset(("l7",)))
    assert cause(at, Knowledge(told=told)) == Cause("edge", "QDISC_DROP", "kernel", "eth2")
    assert cause(at, Knowledge()).reason == "not answered"
    both = {("client", 7, 40): (*told["client", 7, 40], Told("l7", "eth1", "NO_SOCKET"))}
    assert cause(at, Knowledge(told=both)).node == "l7", "where it was seen last is where it died"
    cut = Knowledge(told=told, severed=(("edge", "eth2"),), severed_ns=1_005 * MS)
    assert cause(at, cut).source == "cut"


def test_what_a_node_handed_over_counts_while_the_probe_may_have_been_there() -> None:
    def known(first_ms: int, last_ms: int, node: str = "l4") -> Knowledge:
        return Knowledge(handed={("client", 7): (Handed(node, "no_backend", first_ms * MS, last_ms * MS),)})

    at = _lost(Place("l4"))
    assert cause(at, known(990, 1_100)) == Cause("l4", "no_backend", "handed")
    assert cause(at, known(900, 1_000)).source == "handed"  # within what a stamp is told
    assert cause(at, known(800, 970)).source == "none"
    assert cause(at, known(3_100, 4_000)).source == "none"
    assert cause(at, known(990, 1_100, "edge")).source == "none"


def test_what_a_node_said_of_this_flow_counts_before_what_it_said_of_flows_without_a_name() -> None:
    flood = Handed("l4", "fragment", 0, 5_000 * MS, named=False)
    own = Handed("l4", "no_backend", 990 * MS, 1_100 * MS)
    for some in ((flood, own), (own, flood)):
        assert cause(_lost(Place("l4")), Knowledge(handed={("client", 7): some})).reason == "no_backend"
    assert cause(_lost(Place("l4")), Knowledge(handed={("client", 7): (flood,)})).reason == "fragment"


def test_a_node_knows_better_than_a_kernel_that_only_saw_a_program_drop_it() -> None:
    handed = {("client", 7): (Handed("l4", "no_backend", 990 * MS, 1_100 * MS),)}
    for reason, source in (("XDP", "handed"), ("NOT_SPECIFIED", "handed"), ("NETFILTER_DROP", "kernel")):
        told = {("client", 7, 40): (Told("l4", "eth1", reason),)}
        assert cause(_lost(Place("l4")), Knowledge(told=told, handed=handed)).source == source
        assert cause(_lost(Place("l4")), Knowledge(told=told)).source == "kernel"


def test_what_was_on_a_link_when_it_was_cut_died_there() -> None:
    at = Place("edge", via="transit", interface="eth4")
    known = Knowledge(severed=(("edge", "eth1"), ("transit", "eth4")), severed_ns=1_005 * MS)
    assert cause(_lost(at), known) == Cause("transit", "link cut", "cut", "eth4", "edge")
    assert cause(_lost(at), replace(known, severed_ns=950 * MS)).source == "cut", "it takes its time"
    assert cause(_lost(at), replace(known, severed_ns=890 * MS)).source == "none"
    assert cause(_lost(Place("edge", via="other", interface="eth4")), known).source == "none"
    assert cause(_lost(replace(at, interface="eth5")), known).source == "none", "it took the link beside it"


def test_silence_is_a_cause_of_the_dead_the_silent_and_of_who_should_have_answered() -> None:
    assert cause(_lost(Place("l7")), Knowledge(dead=("l7",))) == Cause("l7", "node dead", "silence")
    silent = Knowledge(silent={"l7": ((100 * MS, 300 * MS), (990 * MS, 1_300 * MS))})
    assert cause(_lost(Place("l7")), silent) == Cause("l7", "node silent", "silence")
    assert cause(replace(_lost(Place("l7")), due_ns=500 * MS), silent).source == "none", "silent before and after"
    assert cause(_lost(Place("l7"), ends_at=frozenset(("l7",))), Knowledge()) == Cause("l7", "not answered", "silence")


def test_what_nobody_explains_is_not_attributed() -> None:
    for place in (None, Place("edge"), Place("edge", answer=True), Place("client", answer=True, home=True)):
        assert not cause(_lost(place), Knowledge()).attributed


def test_an_answer_that_came_late_or_corrupt_is_not_a_drop() -> None:
    home = Place("client", answer=True, home=True)
    assert cause(_lost(home, LATE), Knowledge()).reason == "answered too late"
    assert cause(_lost(home, CORRUPT), Knowledge()).reason == "answer corrupt"
    refused = Place("client", answer=True, home=True, turned="l7")
    assert cause(_lost(refused, REFUSED), Knowledge()) == Cause("l7", "refused", "answer", answer=True)


def test_a_counter_explains_only_if_it_is_the_only_one_that_moved_enough() -> None:
    causes = [Cause("r", "not sent on", "none")] * 5 + [Cause("s", "link cut", "cut")]
    filtered = Counted("r", "NETFILTER_DROP", 5, "dropped by a filter")
    explained = with_counters(causes, [filtered])
    assert {c.source for c in explained if c.node == "r"} == {"counter"}
    assert explained[-1] == causes[-1]
    assert with_counters(causes, [Counted("r", "NETFILTER_DROP", 4)]) == causes
    assert with_counters(causes, [filtered, Counted("r", "IP_INNOROUTES", 9)]) == causes
    assert with_counters(causes, [filtered, Counted("r", "IP_INNOROUTES", 2)]) == explained
    assert with_counters(causes, [Counted("s", "NETFILTER_DROP", 9)]) == causes
    apart = with_counters(causes, [Counted("r", "IP_INNOROUTES", 3), Counted("r", "IP_INNOROUTES", 2)])
    assert {(c.source, c.reason) for c in apart if c.node == "r"} == {("counter", "IP_INNOROUTES")}, "IPv4 and IPv6"


_causes = st.builds(
    Cause,
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(["cut", "kernel", "handed", "silence", "answer", "none"]),
)


@given(st.lists(_causes))
def test_totals_reconcile(causes: list[Cause]) -> None:
    found = totals(causes)
    assert found.lost == len(causes) == found.attributed + found.unattributed
    assert found.unattributed == sum(1 for c in causes if c.source == "none")
    assert dict(found.causes) == Counter(causes)
    counts = [n for _, n in found.causes]
    assert counts == sorted(counts, reverse=True)
