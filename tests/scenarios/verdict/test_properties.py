"""What holds for every trial whatever: the properties of a verdict, each by its own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scenarios.verdict import Act, Doubt, Heal, Held, Load, Loaded, Lost, Row, Series, Trial, judge
from scenarios.verdict.decide import MOST_NAMED
from scenarios.verdict.load import LATENCY_SAMPLES
from scenarios.verdict.rows import NEEDED
from scenarios.verdict.text import limit_of, told
from tests.scenarios.verdict.made import ELEMENT, MS
from tests.scenarios.verdict.strategies import (
    KINDS,
    LIMIT_FIELDS,
    RANK,
    TIME_KEYS,
    VANTAGES,
    any_series,
    better,
    bit,
    brokens,
    connections,
    doubts,
    durations,
    latency_limits,
    losses_limited,
    shares,
    trials,
    with_more_loss,
)
from topologies.budget import BrokenBudget, Budget, Judging

data = st.data()
fewer = settings(max_examples=60)  # where many an example is not what is asked for
Data = st.DataObject


def seen(row: Row) -> tuple[object, ...]:
    """What a row found, whatever its sentences say."""
    return (row.name, row.budget, row.where, row.part, row.use or "", str(row.limit), row.state or "", row.figure,
            row.range.low, str(row.range.high), row.samples, row.among, row.own, row.censored, row.given, row.by)  # fmt: skip


# -- order and names -----------------------------------------------------------------------------------------------


@given(trial=trials(), data=data)
def test_the_order_of_what_was_seen_and_of_who_judges_never_matters(trial: Trial, data: Data) -> None:
    mixed = replace(
        trial,
        judging=tuple(data.draw(st.permutations(trial.judging))),
        series=tuple(data.draw(st.permutations(trial.series))),
        connections=trial.connections[::-1],
        until_heal=_backwards(trial.until_heal),
        after=_backwards(trial.after),
        doubts=trial.doubts[::-1],
    )
    one, other = judge(trial), judge(mixed)
    assert (one.verdict, one.counts, one.disturbed, one.stood_by) == (
        other.verdict, other.counts, other.disturbed, other.stood_by)  # fmt: skip
    assert sorted(map(seen, one.rows)) == sorted(map(seen, other.rows))


@given(trial=trials())
def test_nodes_and_series_by_other_names_change_nothing(trial: Trial) -> None:
    names = {v: f"client-{i}" for i, v in enumerate(VANTAGES)}
    renamed = replace(
        trial,
        element="backend-7",
        series=tuple(replace(s, vantage=names[s.vantage], name=f"renamed {s.name}") for s in trial.series),
        connections=tuple(replace(c, vantage=names[c.vantage]) for c in trial.connections),
        doubts=tuple(replace(d, vantages=frozenset(names[v] for v in d.vantages)) for d in trial.doubts),
    )
    one, other = judge(trial), judge(renamed)
    assert one.verdict == other.verdict
    assert [seen(replace(r, by="")) for r in one.rows] == [seen(replace(r, by="")) for r in other.rows]


# -- loss ----------------------------------------------------------------------------------------------------------


@given(trial=trials().map(bit), data=data)
def test_more_loss_never_improves_a_verdict_once_the_fault_bit(trial: Trial, data: Data) -> None:
    assert not better(judge(data.draw(with_more_loss(trial))), judge(trial))


@given(trial=trials(), data=data)
def test_what_failed_in_place_of_what_was_answered_lowers_no_figure(trial: Trial, data: Data) -> None:
    before = {_which(r): r.figure for r in judge(trial).rows}
    after = {_which(r): r.figure for r in judge(data.draw(with_more_loss(trial))).rows if not _never_came_back(r)}
    assert all(after[row] >= figure for row, figure in before.items() if row in after)


def _never_came_back(row: Row) -> bool:
    return row.key == "return" and row.censored


def _which(row: Row) -> tuple[object, ...]:
    return row.name, row.budget, row.where, row.part, row.use, str(row.limit)


# -- limits --------------------------------------------------------------------------------------------------------


@fewer
@given(trial=trials(), data=data)
def test_a_tighter_limit_never_improves_a_verdict(trial: Trial, data: Data) -> None:
    assume(any(not j.budget.not_promised for j in trial.judging))
    chosen = data.draw(st.sampled_from([i for i, j in enumerate(trial.judging) if not j.budget.not_promised]))
    budget = trial.judging[chosen].budget
    inner = data.draw(st.booleans()) and budget.elsewhere is not None
    limited = budget.elsewhere if inner and budget.elsewhere else budget
    given_ = [field for field in LIMIT_FIELDS if getattr(limited, field) is not None]
    assume(given_)
    field = data.draw(st.sampled_from(given_))
    tight = replace(limited, **{field: data.draw(_tighter(getattr(limited, field)))})
    tight = replace(budget, elsewhere=tight) if inner else tight
    assert not better(judge(_with_budget(trial, chosen, tight)), judge(trial))


def _tighter(limit: int | float | BrokenBudget) -> st.SearchStrategy[int | float | BrokenBudget]:
    if isinstance(limit, BrokenBudget):
        if limit.unit == "own":
            return st.just(BrokenBudget("count"))
        return st.sampled_from((0.0, limit.amount / 2)).map(lambda amount: BrokenBudget(limit.unit, amount))
    return st.sampled_from((0, limit // 2, limit - limit // 10))


def _with_budget(trial: Trial, at: int, budget: Budget) -> Trial:
    judging = list(trial.judging)
    judging[at] = replace(judging[at], budget=budget)
    return replace(trial, judging=tuple(judging))


@given(trial=trials(), key=st.sampled_from((*TIME_KEYS, "recover_ns", "return_ns")))
def test_0_is_never_better_than_1_ms(trial: Trial, key: str) -> None:
    budget = Budget(black_hole_ns=300 * MS)
    zero, one = (
        judge(replace(trial, judging=(Judging("kill-node", replace(budget, **{key: limit}), kin=False),)))
        for limit in (0, MS)
    )
    assert not better(zero, one)


@fewer
@given(trial=trials(), data=data)
def test_a_limit_added_that_replaces_none_never_improves_a_verdict(trial: Trial, data: Data) -> None:
    """`return` replaces a default, and so may `elsewhere`; the limits of connections and probes may be what requests go by.
    Where no limit was judged at all, the first one may be kept."""
    assume(any(not j.budget.not_promised for j in trial.judging))
    before = judge(trial)
    assume(any(r.given and r.state is not None for r in before.rows))
    chosen = data.draw(st.sampled_from([i for i, j in enumerate(trial.judging) if not j.budget.not_promised]))
    budget = trial.judging[chosen].budget
    stands_in = budget.request_fail_ns is None and (budget.new_fail_ns, budget.black_hole_ns) != (None, None)
    free = [f for f in LIMIT_FIELDS if getattr(budget, f) is None and f != "return_ns"]
    free = [f for f in free if not (stands_in and f in ("request_fail_ns", "new_fail_ns"))]
    assume(free)
    field = data.draw(st.sampled_from(free))
    others = {"broken": brokens, "latency_ns": latency_limits, "load_fail_percent": shares}
    limit = data.draw(others.get(field, durations))
    after = judge(_with_budget(trial, chosen, replace(budget, **{field: limit})))
    assert not better(after, before)


# -- doubts --------------------------------------------------------------------------------------------------------


@given(trial=trials(), doubt=doubts())
def test_more_doubt_never_leads_to_pass_and_never_to_fail(trial: Trial, doubt: Doubt) -> None:
    before, after = judge(trial), judge(replace(trial, doubts=(*trial.doubts, doubt)))
    assert after.verdict in ("unknown", before.verdict)
    for was, now in zip(before.rows, after.rows, strict=True):
        assert now.state in ("unknown", was.state)


@given(trial=trials(), doubt=doubts("hides"))
def test_a_doubt_that_only_hides_loss_leaves_every_fail(trial: Trial, doubt: Doubt) -> None:
    before, after = judge(trial), judge(replace(trial, doubts=(*trial.doubts, doubt)))
    assert (before.verdict == "fail") == (after.verdict == "fail")
    for was, now in zip(before.rows, after.rows, strict=True):
        assert (was.state == "fail") == (now.state == "fail")


@given(trial=trials(), doubt=doubts("hides"))
def test_a_doubt_that_hides_loss_leaves_no_row_that_it_concerns_ok(trial: Trial, doubt: Doubt) -> None:
    about = replace(doubt, about=frozenset(), vantages=frozenset(), where="", after_heal=False)
    after = judge(replace(trial, doubts=(*trial.doubts, about)))
    assert not [r for r in after.rows if r.state == "ok"]


@given(trial=trials(), doubt=doubts("makes"))
def test_a_doubt_that_only_makes_loss_leaves_every_pass_and_every_row_that_was_kept(trial: Trial, doubt: Doubt) -> None:
    """A lab short of CPU loses more and the same later, never less: what it kept it would have kept with CPU to spare."""
    alone = replace(doubt, no_pass=False)
    before, after = judge(trial), judge(replace(trial, doubts=(*trial.doubts, alone)))
    assert (before.verdict == "pass") == (after.verdict == "pass")
    for was, now in zip(before.rows, after.rows, strict=True):
        assert (was.state == "ok") == (now.state == "ok")
        assert was.range.high == now.range.high


@given(trial=trials(), doubt=doubts("makes"))
def test_a_doubt_that_makes_loss_leaves_no_row_of_loss_that_it_concerns_broken(trial: Trial, doubt: Doubt) -> None:
    """But an action that was refused, and what came back late beyond any doubt about figures, are no loss."""
    about = replace(doubt, about=frozenset(), vantages=frozenset(), where="", after_heal=False)
    after = judge(replace(trial, doubts=(*trial.doubts, about)))
    assert not [r for r in after.rows if r.state == "fail"]


@given(trial=trials(), doubt=doubts("blurs"))
def test_a_doubt_that_blurs_leaves_nothing_known_of_any_row_that_it_concerns(trial: Trial, doubt: Doubt) -> None:
    about = replace(doubt, about=frozenset(), vantages=frozenset(), where="", after_heal=False)
    after = judge(replace(trial, doubts=(*trial.doubts, about)))
    assert not [r for r in after.rows if r.state in ("ok", "fail")]


@given(trial=trials(), doubt=doubts(after_heal=True))
def test_a_doubt_dated_after_the_heal_changes_no_row_before_it(trial: Trial, doubt: Doubt) -> None:
    before, after = judge(trial), judge(replace(trial, doubts=(*trial.doubts, doubt)))
    assert [r for r in before.rows if r.part == "fault"] == [r for r in after.rows if r.part == "fault"]


# -- samples -------------------------------------------------------------------------------------------------------


@given(trial=trials(carries=True), data=data)
def test_more_samples_that_were_answered_never_worsen_a_verdict(trial: Trial, data: Data) -> None:
    more = data.draw(st.sampled_from((1, 9, 10, 500)))
    way = data.draw(st.sampled_from(("there", "series", "connection", "latency")))
    after = trial
    if way == "there" and trial.series:
        i = data.draw(st.integers(0, len(trial.series) - 1))
        one = trial.series[i]
        grown = replace(one, fault=_longer(one.fault, more), after=_longer(one.after, more))
        after = replace(trial, series=(*trial.series[:i], grown, *trial.series[i + 1 :]))
    elif way == "series":
        new = data.draw(any_series(carries=True, whole=True, touched=True))
        assume(not any(d.concerns(new.kind, new.vantage, "touched", "after") for d in trial.doubts))
        new = replace(new, fault=Lost(more), after=Lost(more))
        after = replace(trial, series=(*trial.series, new))
    elif way == "connection":
        held = replace(data.draw(connections(carries=True, whole=True)), touched=True)
        assume(not any(d.concerns("connection", held.vantage, "touched", "after") for d in trial.doubts))
        after = replace(trial, connections=(*trial.connections, *([held] * more)))
    else:
        after = replace(trial, until_heal=_asked_more(trial.until_heal, more), after=_asked_more(trial.after, more))
    assert not better(judge(trial), judge(after))


def _asked_more(loaded: Loaded, more: int) -> Loaded:
    waits = loaded.latencies_ns
    return replace(loaded, latencies_ns=(*waits, *([min(waits)] * more))) if waits else loaded


def _backwards(loaded: Loaded) -> Loaded:
    return replace(
        loaded,
        latencies_ns=loaded.latencies_ns[::-1],
        latencies_elsewhere_ns=loaded.latencies_elsewhere_ns[::-1],
    )


def _longer(lost: Lost, more: int) -> Lost:
    return replace(lost, samples=lost.samples + more)


@given(trial=trials())
def test_to_watch_longer_with_nothing_more_lost_changes_only_what_had_not_ended_and_what_was_missing(
    trial: Trial,
) -> None:
    longer = replace(
        trial, series=tuple(replace(s, fault=replace(_longer(s.fault, 100), open=False)) for s in trial.series)
    )
    before, after = judge(trial), judge(longer)
    assert not better(before, after) or before.verdict == after.verdict
    there = {_which(r): r for r in after.rows}
    for row in before.rows:
        if row.key == "ended":
            continue
        now = there[_which(row)]
        if not row.censored:
            assert now.figure == row.figure
            assert now.state == row.state or row.samples < LATENCY_SAMPLES


# -- what a verdict says -------------------------------------------------------------------------------------------


@given(trial=trials())
def test_a_pass_has_a_limit_that_was_kept_with_samples_and_a_lab_that_is_whole(trial: Trial) -> None:
    found = judge(trial)
    if found.verdict != "pass":
        return
    judged = [r for r in found.rows if r.state is not None]
    assert {r.state for r in judged} == {"ok"}
    assert any(r.given for r in judged)
    assert all(r.samples >= NEEDED for r in judged if r.where == "touched")
    assert all(r.samples >= 1 for r in judged)
    assert not any((trial.heal.ours_left, trial.heal.missing, trial.heal.refused, trial.silent))
    assert trial.heal.back_ns is not None
    assert not any(
        (trial.act.refused, trial.act.not_bitten, trial.act.let_go, trial.act.action and trial.act.did_nothing)
    )
    assert not any(d.no_pass for d in trial.doubts)
    assert found.stood_by == (not trial.carries)
    assert not (trial.act.action and found.stood_by)


@given(trial=trials())
def test_unknown_and_fail_name_the_element_the_row_or_step_the_figure_and_what_was_missing(trial: Trial) -> None:
    found, act, heal = judge(trial), trial.act, trial.heal
    if found.verdict == "pass":
        return
    assert trial.element in found.reason
    failed = [r for r in found.rows if r.state == "fail"]
    if not found.counts:
        return
    if found.verdict == "fail":
        named = failed if not (act.refused and act.refused in found.reason) else []
        assert named or act.refused in found.reason or act.did_nothing in found.reason
    elif act.not_bitten:
        assert act.not_bitten in found.reason
        named = failed
    else:
        named = [r for r in found.rows if r.state == "unknown" and not (r.part == "after" and heal.ours_left)]
        steps = [act.let_go, act.refused, heal.ours_left, *trial.silent]
        assert all(step in found.reason for step in steps if step)
        assert all(d.sentence in found.reason for d in trial.doubts if d.no_pass)
        assert all(r.why and r.why[1:].rstrip(".") in found.reason for r in named)
        named = _named_of(named, found.reason)
    for row in named:
        assert row.name in found.reason
        assert told(row) in found.reason
        assert limit_of(row) in found.reason


def _named_of(rows: Sequence[Row], reason: str) -> list[Row]:
    """Of many rows with one reason the first few are named, and how many more there are is said."""
    by_why: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        by_why.setdefault((row.why, row.cpu), []).append(row)
    for some in by_why.values():
        assert len(some) <= MOST_NAMED or f"; and {len(some) - MOST_NAMED} more: unknown, since" in reason
    return [row for some in by_why.values() for row in some[:MOST_NAMED]]


@given(trial=trials())
def test_a_request_that_is_judged_by_the_limit_of_another_key_is_said_to_be(trial: Trial) -> None:
    found = judge(trial)
    told_of = ("fail",) if found.verdict == "fail" else ("ok", "unknown")
    stood_in = {r.fallback for r in found.rows if r.fallback and r.state in told_of}
    if found.counts and not trial.act.refused and not trial.act.not_bitten and "did nothing" not in found.reason:
        assert all(f"`request_fail` has no limit and takes that of `{key}`" in found.reason for key in stood_in)


# -- pass ----------------------------------------------------------------------------------------------------------


@given(
    trial=trials(whole=True),
    budget=st.builds(Budget, **losses_limited, return_ns=st.none() | durations),
    samples=st.integers(NEEDED, 500),
)
def test_nothing_lost_nothing_doubted_samples_enough_and_healed_is_pass_for_every_set_of_limits_on_loss(
    trial: Trial, budget: Budget, samples: int
) -> None:
    assume(budget.has_limits)
    whole = tuple(
        Series(kind, "us-client", kind, 10 * MS, touched=trial.carries, fault=Lost(samples), after=Lost(samples))
        for kind in KINDS
    )
    held = tuple(Held("idle", "us-client", touched=trial.carries) for _ in range(NEEDED))
    found = judge(
        replace(
            trial,
            judging=(Judging("kill-node", budget, kin=False),),
            series=(*trial.series, *whole),
            connections=(*trial.connections, *held),
            until_heal=Loaded(load=Load(samples, 0)),
        )
    )
    assert found.verdict == "pass", found.reason


@given(trial=trials(), act=st.sampled_from((Act(), Act(action=True))), element=st.just(ELEMENT))
def test_what_is_not_promised_counts_for_nothing_whatever_happened(trial: Trial, act: Act, element: str) -> None:
    promised = replace(trial, act=act, element=element)
    found = judge(replace(promised, judging=(Judging("kill-region", Budget(not_promised=True), kin=False),)))
    assert not found.counts
    assert found.verdict == "unknown"
    assert not [r for r in found.rows if r.state is not None]


@given(trial=trials())
def test_a_heal_that_left_something_of_ours_judges_nothing_after_it_and_hides_nothing_before_it(trial: Trial) -> None:
    whole, left = judge(trial), judge(replace(trial, heal=Heal(ours_left="a filter in us-edge-1")))
    assert all(r.state in (None, "unknown") for r in left.rows if r.part == "after")
    assert [r for r in whole.rows if r.part == "fault"] == [r for r in left.rows if r.part == "fault"]
    assert left.verdict != "pass"
    assert RANK[left.verdict] >= 1
