"""What crossed the element: by 5-tuple either way, by a schedule's ports, over one of two links; and what ended there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.protocols import TCP, UDP
from scenarios.touching import SYN_PORT, Touching, at_element
from topologies.linux.wire import Flow, Seen
from topologies.linux.wired import Crossing
from topologies.model import Endpoint, Link

CLIENT, VIP = "10.0.0.1", "203.0.113.10"
FIRST = Link((Endpoint("r", "eth1"), Endpoint("b", "eth1")))
SECOND = Link((Endpoint("r", "eth2"), Endpoint("b", "eth2")))

ports = st.integers(1, 65535)


def syn(sport: int = 40_000, dport: int = 80, protocol: int = TCP) -> Flow:
    return Flow(CLIENT, sport, VIP, dport, protocol)


def over(sender: str, receiver: str, flow: Flow, interface: str = "eth1") -> Crossing:
    return Crossing(sender, receiver, interface, flow, Seen(1, 2))


def touching(*crossings: Crossing, nodes: tuple[str, ...] = ("b",)) -> Touching:
    return Touching(crossings, frozenset(nodes))


# -- 5-tuples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [syn(), syn().reversed()], ids=["there", "back"])
def test_a_flow_crossed_if_it_or_its_answers_did(seen: Flow) -> None:
    found = touching(over("r", "b", seen))
    assert found.flow(syn())
    assert found.flow(syn().reversed())
    assert not found.flow(syn(sport=40_001))
    assert not found.flow(syn(protocol=UDP))


# -- schedules, whose every attempt has a port of its own ----------------------------------------------------------


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@given(sport=ports, first=ports, count=st.integers(1, 200))
def test_a_schedule_crossed_if_one_of_its_ports_did_there_or_back(
    sport: int, first: int, count: int, back: bool
) -> None:
    seen = syn(sport).reversed() if back else syn(sport)
    found = touching(over("r", "b", seen))
    assert found.schedule(CLIENT, VIP, 80, first, count) == (first <= sport < first + count)


@pytest.mark.parametrize(
    "other",
    [
        syn(dport=443),
        syn(protocol=UDP),
        Flow("10.0.0.2", 40_000, VIP, 80, TCP),
        Flow(CLIENT, 40_000, "203.0.113.11", 80, TCP),
    ],
    ids=["another service", "another protocol", "another vantage", "another address"],
)
def test_what_is_of_another_schedule_touches_none(other: Flow) -> None:
    for seen in (other, other.reversed()):
        assert not touching(over("r", "b", seen)).schedule(CLIENT, VIP, 80, 1, 65_535)


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_a_syn_that_crossed_touches_every_schedule_of_its_client_to_its_service(back: bool) -> None:
    """Taps know them as one flow, without the client's port."""
    seen = syn(SYN_PORT).reversed() if back else syn(SYN_PORT)
    found = touching(over("r", "b", seen))
    assert found.schedule(CLIENT, VIP, 80, 40_000, 10)
    assert not found.schedule(CLIENT, VIP, 443, 40_000, 10)
    assert not found.schedule("10.0.0.2", VIP, 80, 40_000, 10)


def test_a_schedule_is_not_touched_by_one_in_the_other_direction() -> None:
    """Who asks from port 80 of the VIP's own accord is no answer to the client's port 40,000 as a service."""
    found = touching(over("r", "b", syn()))
    assert not found.schedule(VIP, CLIENT, 80, 1, 65_535)


# -- what ended at the element -------------------------------------------------------------------------------------


def test_what_entered_and_did_not_leave_ended_here() -> None:
    assert touching(over("r", "b", syn())).ended_here(syn()) is True


def test_what_entered_and_left_did_not_end_here() -> None:
    assert touching(over("r", "b", syn()), over("b", "c", syn())).ended_here(syn()) is False


def test_what_never_entered_is_not_told() -> None:
    assert touching().ended_here(syn()) is None
    assert touching(over("b", "c", syn())).ended_here(syn()) is None, "its first packets came before the taps"
    assert touching(over("b", "r", syn().reversed())).ended_here(syn()) is None, "answers alone tell no end"


def test_an_answer_that_leaves_is_no_packet_that_went_on() -> None:
    assert touching(over("r", "b", syn()), over("b", "r", syn().reversed())).ended_here(syn()) is True


def test_from_one_node_of_the_element_to_another_is_not_leaving_it() -> None:
    inside = (over("r", "b", syn()), over("b", "c", syn()))
    assert touching(*inside, nodes=("b", "c")).ended_here(syn()) is True
    assert touching(*inside, over("c", "d", syn()), nodes=("b", "c")).ended_here(syn()) is False


# -- nodes and links -----------------------------------------------------------------------------------------------


def test_at_a_node_is_what_enters_or_leaves_it() -> None:
    seen = [over("r", "b", syn()), over("b", "c", syn()), over("c", "d", syn())]
    assert at_element(seen, ("b",), ()) == tuple(seen[:2])
    assert at_element(seen, (), ()) == ()


@pytest.mark.parametrize(("link", "interface"), [(FIRST, "eth1"), (SECOND, "eth2")])
def test_of_two_links_between_two_nodes_one_is_told_by_its_interface_both_ways(link: Link, interface: str) -> None:
    seen = [over(a, b, syn(), name) for a, b in (("r", "b"), ("b", "r")) for name in ("eth1", "eth2")]
    found = at_element(seen, (), (link,))
    assert {c.interface for c in found} == {interface}
    assert {c.sender for c in found} == {"r", "b"}


# -- carrying ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "carries"),
    [(syn(), True), (syn().reversed(), True), (Flow("10.1.1.1", 179, "10.1.1.2", 40_000, TCP), False)],
    ids=["to a VIP", "from a VIP", "BGP"],
)
def test_an_element_carries_what_goes_to_or_from_a_vip(seen: Flow, carries: bool) -> None:
    assert touching(over("r", "b", seen)).carries({VIP}) is carries
    assert not touching().carries({VIP})


# -- names ---------------------------------------------------------------------------------------------------------

NODES = ("r", "b", "c", "d")
hops = st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.integers(40_000, 40_003), st.booleans())


@given(seen=st.lists(hops, max_size=12), element=st.sampled_from(NODES), names=st.permutations(["n1", "n2", "n3", "b"]))
def test_backends_and_their_nodes_renamed_change_nothing(
    seen: list[tuple[str, str, int, bool]], element: str, names: list[str]
) -> None:
    called = dict(zip(NODES, names, strict=True))

    def found(name: dict[str, str]) -> list[object]:
        crossings = [over(name[a], name[b], syn(port).reversed() if back else syn(port)) for a, b, port, back in seen]
        touched = Touching(at_element(crossings, {name[element]}, ()), frozenset({name[element]}))
        flows = [syn(port) for port in range(40_000, 40_004)]
        told = [(touched.flow(f), touched.ended_here(f), touched.ended_here(f.reversed())) for f in flows]
        return [told, touched.carries({VIP}), touched.schedule(CLIENT, VIP, 80, 40_001, 2)]

    assert found(called) == found({node: node for node in NODES})
