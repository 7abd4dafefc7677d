"""Whole trials as hypothesis makes them: every kind of loss, act, heal, doubt and budget, and ways to make one worse or better."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hypothesis import strategies as st

from scenarios.verdict import Act, Doubt, Heal, Held, Judged, Load, Lost, Series, Trial
from scenarios.verdict.doubts import About
from scenarios.verdict.facts import Kind, Loaded
from tests.scenarios.verdict.made import ELEMENT, MS
from topologies.budget import BrokenBudget, Budget, Judging

VANTAGES = ("us-client", "eu-client", "ap-client")
KINDS: tuple[Kind, ...] = get_args(Kind)
ABOUTS: tuple[About, ...] = get_args(About)
RANK = {"pass": 0, "unknown": 1, "fail": 2}

LIMITS_MS = (0, 1, 10, 50, 100, 300, 1_000, 10_000)
TIME_KEYS = ("black_hole_ns", "new_fail_ns", "request_fail_ns", "resolve_fail_ns")
LIMIT_FIELDS = (*TIME_KEYS, "latency_ns", "broken", "load_fail_percent", "recover_ns", "return_ns")

vantages = st.sampled_from(VANTAGES)
often = st.sampled_from((True, True, True, False))
seldom = st.sampled_from((False, False, False, False, True))
sizes = st.sampled_from((0, 0, 1, 9, 10, 100))


def mostly_empty(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from(("", "", "", "", "", word))


# -- what was seen -------------------------------------------------------------------------------------------------


@st.composite
def losses(draw: st.DrawFn, step_ns: int, kind: Kind, whole: bool = False) -> Lost:
    """What one series lost in one part. `whole`: nothing, and it has samples enough."""
    samples = draw(st.integers(10, 400) if whole else st.sampled_from((0, 1, 5, 9, 10, 11, 100, 400)))
    failed = 0 if whole else min(samples, draw(sizes))
    if not failed:
        unclear = not whole and draw(seldom)
        return Lost(samples, most_ns=step_ns if unclear else None)
    figure = failed * step_ns
    if kind != "probe":  # a stretch may be of fewer failed samples, and good ones may lie between
        figure = draw(st.integers(1, failed + 2)) * step_ns
    straddles = draw(seldom)
    return Lost(
        samples,
        failed,
        figure,
        draw(seldom),
        figure + draw(st.sampled_from((0, 0, 1, 100))) * step_ns,
        least_ns=max(0, figure - draw(st.integers(1, 3)) * step_ns) if straddles else None,
        most_ns=figure + draw(st.integers(1, 3)) * step_ns if straddles else None,
    )


@st.composite
def any_series(draw: st.DrawFn, carries: bool, whole: bool = False, touched: bool | None = None) -> Series:
    kind = draw(st.sampled_from(KINDS))
    step = draw(st.sampled_from((1, 2, 10, 50))) * MS
    vantage = draw(vantages)
    chosen = draw(often) if touched is None else touched
    return Series(
        kind,
        vantage,
        f"{kind} of {vantage} {draw(st.integers(0, 99))}",
        step,
        carries and chosen,
        draw(losses(step, kind, whole)),
        draw(losses(step, kind, whole)),
        draw(often),
    )


@st.composite
def connections(draw: st.DrawFn, carries: bool, whole: bool = False) -> Held:
    broke = None if whole else draw(st.sampled_from((None, None, None, None, "fault", "after")))
    again = draw(st.sampled_from((0, 1, 20, 300, 5_000, None))) if broke == "fault" else 0
    return Held(
        draw(st.sampled_from(("busy", "idle", "stream"))),
        draw(vantages),
        carries and draw(often),
        draw(st.sampled_from(("own", "own", "other", "untold"))),
        broke,
        None if again is None else again * MS,
    )


waits = st.lists(st.sampled_from((1, 5, 19, 21, 100, 1_999, 2_000)).map(lambda ms: ms * MS), max_size=4)
many_waits = st.builds(
    lambda short, ms, few: tuple([ms * MS] * short + few), st.sampled_from((0, 95, 98, 99, 100, 250)), st.just(2), waits
)
loads = st.none() | st.builds(
    lambda n, failed: Load(n, min(n, failed)), st.sampled_from((0, 5, 10, 1_000)), st.sampled_from((0, 0, 1, 5, 900))
)


# -- what was done -------------------------------------------------------------------------------------------------

acts = st.builds(
    Act,
    action=seldom,
    refused=mostly_empty("refused to drain: exit 1"),
    late=st.booleans(),
    not_bitten=mostly_empty("a frame left us-l4-1 after its kill"),
    let_go=mostly_empty("us-l4-1 sent a frame before its heal"),
    did_nothing=mostly_empty("it still carries new flows"),
)
heals = st.builds(
    Heal,
    ours_left=mostly_empty("a filter in us-edge-1"),
    refused=mostly_empty("us-l4-1 refused to undrain: exit 1"),
    missing=mostly_empty("us-l4-1 never announced again: no route to host"),
    back_ns=st.sampled_from((0, 0, 1, 900, 59_000, 61_000, 999_000, None)).map(
        lambda ms: ms if ms is None else ms * MS
    ),
)


# -- what is doubted -----------------------------------------------------------------------------------------------


def doubts(effect: str | None = None, after_heal: bool | None = None) -> st.SearchStrategy[Doubt]:
    return st.builds(
        Doubt,
        check=st.sampled_from(("prober", "stall", "lab-lateness")),
        sentence=st.sampled_from(("The prober is dead.", "It stalled for 60 ms.", "The lab had too little CPU.")),
        effect=st.sampled_from(("widens", "hides", "makes", "blurs")) if effect is None else st.just(effect),
        width_ns=st.sampled_from((0, 1, 10, 60, 5_000)).map(lambda ms: ms * MS),
        count=st.sampled_from((0, 0, 1, 20)),
        about=st.frozensets(st.sampled_from(ABOUTS), max_size=2),
        vantages=st.frozensets(vantages, max_size=1),
        where=st.sampled_from(("", "", "touched", "elsewhere")),
        after_heal=st.booleans() if after_heal is None else st.just(after_heal),
        no_pass=seldom,
        cpu=st.booleans(),
    )


# -- what is promised ----------------------------------------------------------------------------------------------

durations = st.sampled_from(LIMITS_MS).map(lambda ms: ms * MS)
maybe = st.none() | durations
latency_limits = st.none() | st.sampled_from((1, 20, 50, 1_999)).map(lambda ms: ms * MS)
shares = st.none() | st.sampled_from((0.0, 0.1, 1.0, 100.0))
counts = st.builds(BrokenBudget, st.sampled_from(("count", "percentage")), st.sampled_from((0.0, 0.5, 1.0, 5.0, 100.0)))
brokens = st.none() | counts | st.just(BrokenBudget("own"))

losses_limited = {
    **dict.fromkeys(TIME_KEYS, maybe),
    "broken": brokens,
    "load_fail_percent": shares,
    "recover_ns": maybe,
}
elsewheres = st.builds(
    Budget,
    **dict.fromkeys(TIME_KEYS, maybe),
    broken=st.none() | counts,
    latency_ns=latency_limits,
    load_fail_percent=shares,
)
promises = st.builds(
    Budget,
    **losses_limited,
    latency_ns=st.none() | latency_limits,
    return_ns=maybe,
    elsewhere=st.none() | st.none() | elsewheres,
)
judgings = st.builds(
    Judging,
    st.sampled_from(("kill-node", "kill-node/l4", "cut-link/edge")),
    st.one_of(promises, promises, promises, promises, elsewheres.map(lambda e: Budget(elsewhere=e))),
    st.booleans(),
)
not_promised = st.just(Judging("kill-region", Budget(not_promised=True), kin=False))


@st.composite
def trials(draw: st.DrawFn, *, carries: bool | None = None, whole: bool = False) -> Trial:
    """Any trial. `whole`: nothing was lost, nothing is doubted, all was done and healed, and there are samples enough of each kind."""
    carried = draw(often) if carries is None else carries
    judged = draw(st.lists(st.one_of(judgings, judgings, judgings, judgings, not_promised), max_size=2))
    made = Trial(
        fault="kill-node",
        element=ELEMENT,
        judging=tuple(judged),
        planned=draw(seldom),
        carries=carried,
        series=tuple(draw(st.lists(any_series(carried, whole), max_size=5))),
        connections=tuple(draw(st.lists(connections(carried, whole), max_size=4))),
        until_heal=Loaded(latencies_elsewhere_ns=() if whole else draw(many_waits)),
    )
    if draw(often):  # connections enough, some of them broken together
        more = draw(connections(carried, whole))
        made = replace(made, connections=(*made.connections, *([more] * draw(st.sampled_from((1, 9, 10))))))
        kept = replace(draw(connections(carried, whole=True)), use=more.use)
        made = replace(made, connections=(*made.connections, *([kept] * draw(st.sampled_from((0, 10, 30))))))
    if whole:
        return made
    return replace(
        made,
        until_heal=replace(
            made.until_heal,
            latencies_ns=draw(many_waits) if carried else (),
            load=draw(loads),
            load_elsewhere=draw(loads),
        ),
        after=Loaded(draw(many_waits) if carried else (), draw(many_waits), draw(loads), draw(loads)),
        act=draw(acts),
        heal=draw(heals),
        doubts=tuple(draw(st.lists(doubts(), max_size=2))),
        silent=draw(st.sampled_from(((), (), (), ("eu-client → web 203.0.113.10",)))),
        lateness_ns={(k, "fault"): draw(st.sampled_from((0, 3))) * MS for k in ("probe", "request")},
        longest_timer_ns=draw(st.sampled_from((0, 9_000, 240_000))) * MS,
        stood_ns=30_000 * MS,
        cut_short=draw(seldom),
    )


# -- a trial made worse or better ----------------------------------------------------------------------------------


@st.composite
def with_more_loss(draw: st.DrawFn, trial: Trial) -> Trial:
    """The same trial, in which something that was answered is lost, or something that was lost is lost for longer."""
    ways = ["back"]
    ways += ["series"] * 3 if trial.series else []
    ways += ["connection"] * 2 if trial.connections else []
    seen = trial.until_heal
    ways += ["latency"] if seen.latencies_ns else []
    ways += ["after"] if trial.after.latencies_ns else []
    ways += ["elsewhere"] if seen.latencies_elsewhere_ns else []
    ways += ["load"] if seen.load and seen.load.failed < seen.load.requests else []
    way = draw(st.sampled_from(ways))
    if way == "series":
        i = draw(st.integers(0, len(trial.series) - 1))
        part = draw(st.sampled_from(("fault", "after")))
        worse = replace(trial.series[i], **{part: draw(_lost_more(trial.series[i], trial.series[i].part(part)))})
        return replace(trial, series=(*trial.series[:i], worse, *trial.series[i + 1 :]))
    if way == "connection":
        i = draw(st.integers(0, len(trial.connections) - 1))
        c = trial.connections[i]
        if c.broke != "fault":
            c = replace(c, broke=draw(st.sampled_from(("fault", "after"))) if c.broke is None else "fault")
        elif c.again_ns is not None:
            c = replace(c, again_ns=draw(st.sampled_from((None, c.again_ns + 400 * MS))))
        return replace(trial, connections=(*trial.connections[:i], c, *trial.connections[i + 1 :]))
    if way == "latency":
        return replace(trial, until_heal=replace(seen, latencies_ns=(2_000 * MS, *seen.latencies_ns[1:])))
    if way == "after":
        return replace(trial, after=replace(trial.after, latencies_ns=(2_000 * MS, *trial.after.latencies_ns[1:])))
    if way == "elsewhere":
        waits = (2_000 * MS, *seen.latencies_elsewhere_ns[1:])
        return replace(trial, until_heal=replace(seen, latencies_elsewhere_ns=waits))
    if way == "load" and seen.load:
        return replace(trial, until_heal=replace(seen, load=replace(seen.load, failed=seen.load.failed + 1)))
    back = trial.heal.back_ns
    later = None if back is None else draw(st.sampled_from((None, back + 2_000 * MS)))
    return replace(trial, heal=replace(trial.heal, back_ns=later))


@st.composite
def _lost_more(draw: st.DrawFn, series: Series, was: Lost) -> Lost:
    more = draw(st.integers(0, was.samples - was.failed))
    longer = more if series.kind == "probe" or not was.failed else draw(st.integers(0, more + 2))
    if not was.failed and not more:
        return was
    by = max(longer, 0 if was.failed else 1) * series.step_ns
    figure = was.figure_ns + by
    return Lost(
        was.samples,
        was.failed + more,
        figure,
        was.open or draw(st.booleans()),
        max(was.ended_ns, figure) + draw(st.sampled_from((0, 100))) * series.step_ns,
        least_ns=None if was.least_ns is None else was.least_ns + by,
        most_ns=None if was.most_ns is None else max(was.most_ns + by, figure),
    )


def bit(trial: Trial) -> Trial:
    """The same, with a fault that bit."""
    return replace(trial, act=replace(trial.act, not_bitten=""))


def better(one: Judged, other: Judged) -> bool:
    return RANK[one.verdict] < RANK[other.verdict]
