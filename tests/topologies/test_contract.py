"""A contract is read with exact figures, or refused with the line, what was found and what would be right."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from tests.topologies.files import CONTRACT, contract_of, line_of, only, problems_of_contract, small_topology
from topologies.budget import BrokenBudget, Budget
from topologies.contract import contract_path_for, load_contract
from topologies.problems import BadInput, Problem
from topologies.services import Service


def _problem(directory: Path, old: str, new: str) -> Problem:
    assert old in CONTRACT
    return only(problems_of_contract(directory, CONTRACT.replace(old, new, 1)))


def test_a_good_contract_is_read_whole(tmp_path: Path) -> None:
    contract = contract_of(tmp_path)
    assert contract.prefixes == (ip_network("203.0.113.0/24"), ip_network("2001:db8:f::/48"))
    assert contract.services == {
        "web": Service("web", ("203.0.113.10", "2001:db8:f::10"), 80, "http", "web.test", "/", None, ("1.1",)),
        "echo": Service("echo", ("203.0.113.20",), 7, "udp"),
    }
    assert contract.processes == {"l4": ("l4agent", "bgpd")}
    assert contract.action("l4", "drain") == ("l4ctl", "drain")
    assert contract.action("l4", "withdraw") is None
    assert contract.availability == 0.9999
    assert contract.events is None


def test_the_most_specific_budget_wins_whole(tmp_path: Path) -> None:
    contract = contract_of(tmp_path)
    assert contract.budget("kill-node", "l4") == Budget(
        black_hole_ns=200_000_000,
        broken=BrokenBudget("percentage", 0.1),
        recover_ns=10_000_000_000,
        elsewhere=Budget(black_hole_ns=10_000_000),
    )
    general = Budget(black_hole_ns=300_000_000, new_fail_ns=1_000_000_000, broken=BrokenBudget("own"))
    assert contract.budget("kill-node", "client") == general
    assert contract.budget("kill-node") == general
    assert contract.budget("freeze-node", "l4") is None, "measured, not judged"
    assert (contract.budget_name("kill-node", "l4"), contract.budget_name("kill-node")) == ("kill-node/l4", "kill-node")
    assert contract.budget_name("cut-link") is None


def test_elsewhere_is_zero_unless_given(tmp_path: Path) -> None:
    contract = contract_of(tmp_path)
    nothing = Budget(
        black_hole_ns=0, new_fail_ns=0, request_fail_ns=0, resolve_fail_ns=0, broken=BrokenBudget("count", 0)
    )
    drain, kill = contract.budgets["drain"], contract.budgets["kill-node/l4"]
    assert drain.untouched == nothing
    assert kill.untouched == replace(nothing, black_hole_ns=10_000_000)


@pytest.mark.parametrize("where", ["processes: {l4:", "actions:\n  l4:", "kill-node/l4:"])
def test_a_role_nobody_has_is_named_with_its_line(tmp_path: Path, where: str) -> None:
    text = CONTRACT.replace(where, where.replace("l4:", "l44:"), 1)
    problem = only(problems_of_contract(tmp_path, text))
    assert problem.line == line_of(text, "l44:")
    assert problem.found == "the role 'l44', which no node has"
    assert problem.expected == "one of client, l4 (did you mean 'l4'?)"


@pytest.mark.parametrize(("vip", "line"), [("203.0.113.20", 5), ("2001:db8:f::10", 4)])
def test_a_vip_outside_every_prefix_is_named_with_its_line(tmp_path: Path, vip: str, line: int) -> None:
    outside = "2001:db8:e::10" if ":" in vip else "198.51.100.20"
    problem = _problem(tmp_path, vip, outside)
    assert (problem.line, problem.found) == (line, f"{outside}, which lies in none")
    assert problem.expected == "an address in one of the contract's prefixes, 203.0.113.0/24, 2001:db8:f::/48"


@pytest.mark.parametrize(("old", "line"), [("black_hole: 300ms", 11), ("new_fail: 1s", 11), ("recover: 10s", 12)])
def test_a_budget_without_a_unit_is_named_with_its_line(tmp_path: Path, old: str, line: int) -> None:
    key = old.partition(":")[0]
    problem = _problem(tmp_path, old, f"{key}: 300")
    assert (problem.line, problem.field.rsplit(".", 1)[1]) == (line, key)
    assert problem.found == "'300', which has no unit"
    assert problem.expected == "a duration with its unit (ns, us, ms, s, m), such as 300ms"


@pytest.mark.parametrize("value", ["0", "-1ms", "1h", "ms", "1 ms", "0.1ns", "1e3ms", "[]", "", "'1,5s'", "'3٠ms'"])
def test_a_duration_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    assert _problem(tmp_path, "recover: 10s", f"recover: {value}" if value else "recover: ''").line == 12


@pytest.mark.parametrize("value", ["-1", "1.5", "101%", "none", "0.1 %", "Own", "[]"])
def test_a_share_of_broken_connections_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    assert _problem(tmp_path, "broken: own", f"broken: {value}").expected == (
        "a count such as 0, a percentage such as 0.1%, or own"
    )


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("elsewhere: {black_hole: 10ms}", "elsewhere: {broken: own}", "budgets.kill-node/l4.elsewhere.broken"),
        ("elsewhere: {black_hole: 10ms}", "elsewhere: {elsewhere: {}}", "budgets.kill-node/l4.elsewhere.elsewhere"),
        ("elsewhere: {black_hole: 10ms}", "elsewhere: {}", "budgets.kill-node/l4.elsewhere"),
        ("drain: {black_hole: 0ms, broken: 0}", "drain:", "budgets.drain"),
        ("drain: {black_hole: 0ms, broken: 0}", "drain: 0ms", "budgets.drain"),
        ("black_hole: 0ms", "blackhole: 0ms", "budgets.drain.blackhole"),
    ],
)
def test_a_budget_of_another_shape_is_refused_where_it_is_wrong(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert _problem(tmp_path, old, new).field == field


def test_an_unknown_fault_class_is_refused_with_the_closest(tmp_path: Path) -> None:
    problem = _problem(tmp_path, "  drain: {", "  kil-node: {")
    assert (problem.line, problem.found) == (10, "the fault class 'kil-node'")
    assert problem.expected.endswith("(did you mean 'kill-node'?)")


def test_a_budget_for_a_region_cannot_have_a_role(tmp_path: Path) -> None:
    assert "'kill-region' alone" in _problem(tmp_path, "kill-node/l4", "kill-region/l4").expected


@pytest.mark.parametrize("protocol", ["htpp", "HTTP", "quic"])
def test_a_protocol_nobody_speaks_is_refused(tmp_path: Path, protocol: str) -> None:
    assert _problem(tmp_path, "protocol: udp", f"protocol: {protocol}").expected.startswith(
        "one of http, https, tcp, udp"
    )


@pytest.mark.parametrize("port", ["0", "65536", "-7", "'7'", "7.0", "0x7", "echo"])
def test_a_port_out_of_range_is_refused(tmp_path: Path, port: str) -> None:
    assert _problem(tmp_path, "port: 7", f"port: {port}").expected == "a port, 1–65535"


@pytest.mark.parametrize(
    "vip",
    [
        "web.test",
        "203.0.113.256",
        "[203.0.113.1, 203.0.113.2]",
        "[]",
        "{a: b}",
        "203.0.113.0/24",
        "[{}]",
        "'fe80::1%eth0'",
    ],
)
def test_a_vip_that_is_no_address_is_refused(tmp_path: Path, vip: str) -> None:
    assert _problem(tmp_path, "vip: 203.0.113.20", f"vip: {vip}").line == 5


@pytest.mark.parametrize(
    ("prefix", "mend"), [("203.0.113.1/24", "203.0.113.0/24"), ("203.0.113.0", "203.0.113.0/32"), ("x/8", "a prefix")]
)
def test_a_prefix_that_is_none_is_refused_with_the_mend(tmp_path: Path, prefix: str, mend: str) -> None:
    problems = problems_of_contract(tmp_path, CONTRACT.replace("203.0.113.0/24", prefix))
    assert problems[0].expected.startswith(mend)
    assert problems[0].field == "prefixes[0]"


def test_addresses_are_compared_by_value_not_by_spelling(tmp_path: Path) -> None:
    contract = contract_of(tmp_path, CONTRACT.replace("2001:db8:f::10", "2001:0DB8:F:0::0010"))
    assert contract.services["web"].vip6 == "2001:db8:f::10"
    assert contract.services["echo"].vip6 is None


def test_two_services_at_one_address_and_port_are_refused(tmp_path: Path) -> None:
    both = "echo: {vip: 203.0.113.10, port: 80, protocol: tcp}"
    assert (
        "again, first in 'web'" in _problem(tmp_path, "echo: {vip: 203.0.113.20, port: 7, protocol: udp}", both).found
    )


def test_one_port_of_two_transports_is_two_services(tmp_path: Path) -> None:
    text = CONTRACT.replace("vip: 203.0.113.20, port: 7", "vip: 203.0.113.10, port: 80")
    assert len(contract_of(tmp_path, text).services) == 2


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("protocol: udp}", "protocol: udp, path: /}", "services.echo.path"),
        ("host: web.test", 'host: "a\\r\\nb"', "services.web.host"),
        ("host: web.test", "path: x", "services.web.path"),
        ("host: web.test", "identity: 'x backend'", "services.web.identity"),
        ("protocol: udp}", "protocol: udp, http: [2]}", "services.echo.http"),
        ("protocol: udp}", "protocol: tcp, tls: {}}", "services.echo.tls"),
        ("host: web.test", "tls: {}", "services.web.tls"),
        ("host: web.test", "http: 2", "services.web.http"),
        ("host: web.test", "http: []", "services.web.http"),
        ("host: web.test", "http: [3]", "services.web.http[0]"),
        ("host: web.test", "http: [1.1, 1.1]", "services.web.http[1]"),
        ("protocol: http", "protocol: https, tls: yes", "services.web.tls"),
        ("protocol: http", "protocol: https, tls: {cert: x}", "services.web.tls.cert"),
        ("protocol: http", "protocol: https, tls: {ca: none.pem}", "services.web.tls.ca"),
        (", port: 7", "", "services.echo.port"),
        ("vip: 203.0.113.20, ", "", "services.echo.vip"),
        (", protocol: udp", "", "services.echo.protocol"),
        ("[l4agent, bgpd]", "[]", "processes.l4"),
        ("[l4agent, bgpd]", "bgpd", "processes.l4"),
        ("[l4agent, bgpd]", "['']", "processes.l4[0]"),
        ("[l4ctl, drain]", "l4ctl drain", "actions.l4.drain"),
        ("[l4ctl, drain]", "[]", "actions.l4.drain"),
        (", undrain: [l4ctl, undrain]", "", "actions.l4.drain"),
        ("undrain: [", "undrian: [l4ctl], undrain: [", "actions.l4.undrian"),
        ("99.99%", "0.9999", "availability"),
        ("99.99%", "100.1%", "availability"),
        ("availability:", "events: run/x\navailability:", "events"),
        ("availability:", "slo: x\navailability:", "slo"),
        ("version: 1", "version: 2", "version"),
        ("version: 1\n", "", "version"),
    ],
)
def test_what_is_wrong_elsewhere_is_named_by_its_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert _problem(tmp_path, old, new).field == field


def test_versions_of_http_are_those_given_or_the_first(tmp_path: Path) -> None:
    assert contract_of(tmp_path, CONTRACT).services["web"].http == ("1.1",)
    assert contract_of(tmp_path, CONTRACT).services["echo"].http == ()
    both = contract_of(tmp_path, CONTRACT.replace("host: web.test", "http: [2, 1.1]")).services["web"]
    assert (both.http, both.transport, both.speaks_http) == (("2", "1.1"), "tcp", True)


def test_a_file_of_certificates_is_looked_for_beside_the_contract(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    text = CONTRACT.replace("protocol: http", "protocol: https, tls: {ca: ca.pem}, path: /x")
    web = contract_of(tmp_path, text).services["web"]
    assert (web.protocol, web.ca, web.path, web.speaks_http) == ("https", tmp_path / "ca.pem", "/x", True)
    bare = contract_of(tmp_path, text.replace("tls: {ca: ca.pem}, ", "")).services["web"]
    assert (bare.protocol, bare.ca) == ("https", None)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none\n")
    problem = _problem(tmp_path, "protocol: http", "protocol: https, tls: {ca: ca.pem}")
    assert (problem.field, problem.found) == ("services.web.tls.ca", "ca.pem, in which there is none")


UNDRAIN = "undrain: [l4ctl, undrain]}"


def test_an_action_has_five_seconds_or_what_is_given(tmp_path: Path) -> None:
    assert contract_of(tmp_path).within_ns("l4") == 5_000_000_000
    given = contract_of(tmp_path, CONTRACT.replace(UNDRAIN, f"{UNDRAIN[:-1]}, within: 8s}}"))
    assert (given.within_ns("l4"), given.within_ns("client")) == (8_000_000_000, 5_000_000_000)
    assert given.action("l4", "drain") == ("l4ctl", "drain")
    assert set(given.actions["l4"]) == {"drain", "undrain"}, "a time is no action"


@pytest.mark.parametrize("within", ["0s", "-1s", "5.1m", "1h", "8", "[]"])
def test_the_time_of_an_action_is_bounded(tmp_path: Path, within: str) -> None:
    problem = _problem(tmp_path, UNDRAIN, f"{UNDRAIN[:-1]}, within: {within}}}")
    assert (problem.field, problem.line) == ("actions.l4.within", 8)
    assert problem.expected == "a duration with its unit (ns, us, ms, s, m), over 0s and at most 5m, such as 8s"


def test_a_time_without_an_action_is_refused(tmp_path: Path) -> None:
    problem = _problem(tmp_path, "{drain: [l4ctl, drain], undrain: [l4ctl, undrain]}", "{within: 8s}")
    assert problem.found == "'within' without an action"
    assert problem.expected == "it beside one of announce, drain, undrain, withdraw"


@pytest.mark.parametrize("services", ["services: {}\n", "services:\n", ""])
def test_a_contract_without_services_has_nothing_to_measure(tmp_path: Path, services: str) -> None:
    text = f"version: 1\nprefixes: [203.0.113.0/24]\n{services}"
    assert only(problems_of_contract(tmp_path, text)).field == "services"


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    problem = only(problems_of_contract(tmp_path, "version: 1\nprefixes: [a\nservices: {}\n"))
    assert (problem.field, problem.line) == ("syntax", 3)


def test_every_problem_is_told_not_only_the_first(tmp_path: Path) -> None:
    text = (
        CONTRACT.replace("300ms", "300")
        .replace("protocol: udp", "protocol: x")
        .replace("processes: {l4", "processes: {x")
    )
    assert [problem.line for problem in problems_of_contract(tmp_path, text)] == [5, 6, 11]


def test_a_missing_contract_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"none\.contract\.yml: file: found no such file or directory; expected the contract of"
    ):
        load_contract(tmp_path / "none.contract.yml", small_topology("client"))


@pytest.mark.parametrize(
    ("topology", "contract"),
    [
        ("d/x.clab.yml", "d/x.contract.yml"),
        ("x.clab.yaml", "x.contract.yaml"),
        ("x.yml", "x.contract.yml"),
        ("my.lab.clab.yml", "my.lab.contract.yml"),
    ],
)
def test_the_contract_lies_beside_its_topology(topology: str, contract: str) -> None:
    assert contract_path_for(Path(topology)) == Path(contract)
