"""A budget that cannot be meant is refused with file and line, with what was found and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.budget.made import problem_of, read, text_of
from tests.topologies.files import line_of, only, problems_of_contract
from topologies.budget.keys import ELSEWHERE, LIMITS, Key
from topologies.figures import Durations

ANY = "a duration with its unit (ns, us, ms, s, m), such as 300ms"
LATENCY = (
    "a duration with its unit (ns, us, ms, s, m), under 2s, which is what a failed request counts as, such as 20ms"
)
WATCH = "a duration with its unit (ns, us, ms, s, m), over 0s and at most 5m, such as 12s"
SHARE = "a percentage from 0% to 100%, such as 0.5%"
BROKEN = "a count such as 0, a percentage such as 0.1%, or own"
EXAMPLE = "a mapping such as {black_hole: 300ms}, or not promised"
ALONE = "either limits, or 'not promised' alone in place of the mapping: it stands for every key, elsewhere too"
WHOLE = "it beside 'elsewhere': it is judged of the class as a whole"
KEYS = "black_hole, broken, elsewhere, latency, load_fail, new_fail, recover, request_fail, resolve_fail, return, watch"
CLASSES = (
    "close-session, crash-process, cut-direction, cut-link, drain, freeze-node, freeze-process, kill-domain, "
    "kill-node, kill-region, steady, withdraw"
)

BAD = [
    ("kill-node: {latency: 20}", "'20', which has no unit", LATENCY),
    ("kill-node: {latency: 2s}", "'2s'", LATENCY),
    ("kill-node: {latency: 1m}", "'1m'", LATENCY),
    ("kill-node: {request_fail: 1h}", "'1h'", ANY),
    ("kill-node: {request_fail: [1s]}", "a list of 1", ANY),
    ("kill-node: {return: -1s}", "'-1s'", ANY),
    ("kill-node: {return: 30}", "'30', which has no unit", ANY),
    ("kill-node: {watch: -12s}", "'-12s'", WATCH),
    ("kill-node: {watch: 0s}", "'0s'", WATCH),
    ("kill-node: {watch: 1h}", "'1h'", WATCH),
    ("kill-node: {watch: 60m}", "'60m'", WATCH),
    ("kill-node: {watch: 12}", "'12', which has no unit", WATCH),
    ("kill-node: {load_fail: 0.5}", "'0.5'", SHARE),
    ("kill-node: {load_fail: 101%}", "'101%'", SHARE),
    ("kill-node: {load_fail: -1%}", "'-1%'", SHARE),
    ("kill-node: {broken: some}", "'some'", BROKEN),
    (
        "kill-node: {black_hole: }",
        "the key 'black_hole' without a value",
        "one, or a file without the key: no limit is guessed",
    ),
    (
        "kill-node: {blackhole: 1s}",
        "the unknown key 'blackhole'",
        f"a key of a budget, one of {KEYS} (did you mean 'black_hole'?)",
    ),
    ("kill-node: {black_hole: 1s, not promised}", "the key 'not promised' in a budget", ALONE),
    ("kill-node: {black_hole: 1s, not_promised: yes}", "the key 'not_promised' in a budget", ALONE),
    ("kill-node: {not promised: true}", "the key 'not promised' in a budget", ALONE),
    ("kill-node: {own: 1}", "the key 'own' in a budget", "'broken: own'"),
    ("kill-node: not-promised", "'not-promised'", f"{EXAMPLE} (did you mean 'not promised'?)"),
    ("kill-node: Not promised", "'Not promised'", f"{EXAMPLE} (did you mean 'not promised'?)"),
    ("kill-node: 300ms", "'300ms'", EXAMPLE),
    ("kill-node: [not promised]", "a list of 1", EXAMPLE),
    ("kill-node: ", "nothing", f"{EXAMPLE}; leave a fault class out to measure without judging"),
    (
        "kill-node: {latency_steady: 20ms}",
        "the key 'latency_steady' in a budget",
        "'latency', or the class 'steady' with it: nothing is broken there",
    ),
    ("kill-node: {elsewhere: {recover: 1s}}", "the key 'recover' in 'elsewhere'", WHOLE),
    ("kill-node: {elsewhere: {return: 1s}}", "the key 'return' in 'elsewhere'", WHOLE),
    (
        "kill-node: {elsewhere: {watch: 1s}}",
        "the key 'watch' in 'elsewhere'",
        "it beside 'elsewhere': all of a fault is watched for as long",
    ),
    (
        "kill-node: {elsewhere: {elsewhere: {broken: 1}}}",
        "the key 'elsewhere' in 'elsewhere'",
        "one 'elsewhere' in a class",
    ),
    (
        "kill-node: {elsewhere: {broken: own}}",
        "'own'",
        "a count or a percentage: untouched flows have nothing at the failed element",
    ),
    ("kill-node: {elsewhere: {latency: 2s}}", "'2s'", LATENCY),
    ("kill-node: {elsewhere: not promised}", "'not promised'", "a mapping such as {black_hole: 300ms}"),
    ("steady: {latency_steady: 2s}", "'2s'", LATENCY),
    ("steady: not promised", "'not promised'", "a mapping such as {latency_steady: 20ms}"),
    ("steady: {}", "an empty budget", "a mapping with some of latency_steady"),
    (
        "steady: {latency: 20ms}",
        "the key 'latency' in the class steady",
        "'latency_steady', which is judged while nothing is broken",
    ),
    (
        "steady: {black_hole: 0ms}",
        "the key 'black_hole' in the class steady",
        "only 'latency_steady': nothing is broken there",
    ),
    (
        "steady: {latency_stead: 20ms}",
        "the unknown key 'latency_stead'",
        "a key of the class steady, latency_steady (did you mean 'latency_steady'?)",
    ),
    (
        "steady/l4: {latency_steady: 20ms}",
        "'steady/l4'",
        "'steady' alone: it is judged of every service, not of a role",
    ),
    ("kill-domain/l4: {black_hole: 1s}", "'kill-domain/l4'", "'kill-domain' alone: it fails many roles at once"),
    (
        "freeze-proces: {black_hole: 1s}",
        "the fault class 'freeze-proces'",
        f"one of {CLASSES} (did you mean 'freeze-process'?)",
    ),
]


@pytest.mark.parametrize(("budgets", "found", "right"), BAD)
def test_what_cannot_be_meant_is_refused(budgets: str, found: str, right: str) -> None:
    problem = problem_of(budgets)
    assert (problem.found, problem.expected) == (found, right)


ANSWERING = "a service with protocol http, https or tcp with 'expect'"
UNMEASURED = [
    ("request_fail: 1s", ("tcp", "udp"), ANSWERING),
    ("latency: 20ms", ("tcp", "udp"), ANSWERING),
    ("load_fail: 1%", ("https", "tcp", "expect", "udp"), "a service with protocol http"),
    ("new_fail: 1s", ("udp",), "a service with protocol http, https or tcp"),
    ("broken: 0", ("udp",), "a service with protocol http, https or tcp"),
]
MEASURED = [
    ("request_fail: 1s", ("https",)),
    ("request_fail: 1s", ("expect",)),
    ("latency: 20ms", ("expect", "udp")),
    ("new_fail: 1s", ("expect",)),
    ("broken: 0", ("expect",)),
    ("latency: 20ms", ("http",)),
    ("load_fail: 1%", ("http", "udp")),
    ("new_fail: 1s", ("tcp",)),
    ("broken: 0", ("https",)),
    ("black_hole: 1s", ("udp",)),
    ("black_hole: 1s", ("tcp",)),
    ("recover: 1s", ("udp",)),
    ("return: 1s", ("tcp",)),
    ("watch: 12s", ("udp",)),
]


@pytest.mark.parametrize("where", ["kill-node: {%s}", "kill-node: {elsewhere: {%s}}"])
@pytest.mark.parametrize(("limit", "protocols", "needs"), UNMEASURED)
def test_a_limit_that_no_service_can_measure_is_refused(
    where: str, limit: str, protocols: tuple[str, ...], needs: str
) -> None:
    problem = problem_of(where % limit, *protocols)
    key = limit.partition(":")[0]
    assert problem.found == f"a limit for {key!r}, which no service of this contract can measure"
    assert problem.expected == f"{needs}, or a file without this limit"


@pytest.mark.parametrize(("limit", "protocols"), MEASURED)
def test_a_limit_that_some_service_can_measure_is_read(limit: str, protocols: tuple[str, ...]) -> None:
    assert "kill-node" in read(f"kill-node: {{{limit}}}", *protocols).budgets


@pytest.mark.parametrize("where", ["kill-node: {%s}", "kill-node: {elsewhere: {%s}}"])
def test_a_limit_on_queries_of_names_is_refused_while_nothing_measures_them(where: str) -> None:
    problem = problem_of(where % "resolve_fail: 1s")
    assert (problem.found, problem.expected) == (
        "a limit for 'resolve_fail'",
        "a file without it: nothing measures it yet",
    )


def test_latency_at_rest_needs_a_service_that_answers_requests() -> None:
    assert ANSWERING in problem_of("steady: {latency_steady: 20ms}", "tcp", "udp").expected
    assert "steady" in read("steady: {latency_steady: 20ms}", "expect").budgets


@pytest.mark.parametrize(("protocol", "answers"), [("http", True), ("expect", True), ("tcp", False), ("udp", False)])
def test_a_contract_answers_requests_where_a_service_does(protocol: str, answers: bool) -> None:
    assert read("kill-node: {black_hole: 1s}", protocol).answers_requests == answers


def test_what_a_service_cannot_be_read_to_speak_refuses_no_limit(tmp_path: Path) -> None:
    text = text_of("kill-node: {request_fail: 1s}", "udp", top="  web: {vip: 203.0.113.10, port: 80, protocol: htp}\n")
    assert only(problems_of_contract(tmp_path, text)).field == "services.web.protocol"


@pytest.mark.parametrize("duration", ["0s", "-12s", "1h", "60m", "5.1m", "12", "''"])
def test_how_long_every_fault_is_watched_is_bounded(tmp_path: Path, duration: str) -> None:
    text = text_of("kill-node: {black_hole: 1s}", top=f"watch: {duration}\n")
    problem = only(problems_of_contract(tmp_path, text))
    assert (problem.field, problem.line, problem.expected) == ("watch", line_of(text, "watch:"), WATCH)


VALUES = {"broken": "0", "share": "1%"}


def _typo(key: str, data: st.DataObject) -> str:
    """The key with one letter left out, doubled, changed, or two exchanged."""
    at = data.draw(st.integers(0, len(key) - 1))
    return data.draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[:at] + key[at] + key[at:],
                key[:at] + "q" + key[at + 1 :],
                key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :],
            ]
        )
    )


@given(st.sampled_from(LIMITS), st.booleans(), st.data())
def test_a_key_with_one_typo_is_refused_with_the_right_one(key: Key, elsewhere: bool, data: st.DataObject) -> None:
    typo = _typo(key.name, data)
    known = {limit.name for limit in LIMITS}
    elsewhere = elsewhere and key in ELSEWHERE
    if typo in known:
        return
    value = "20ms" if isinstance(key.right, Durations) else VALUES[key.right]
    limit = f'{{"{typo}": {value}}}'
    problem = problem_of(f"kill-node: {{elsewhere: {limit}}}" if elsewhere else f"kill-node: {limit}")
    assert problem.found == f"the unknown key {typo!r}"
    assert problem.expected.endswith(f"(did you mean {key.name!r}?)")
