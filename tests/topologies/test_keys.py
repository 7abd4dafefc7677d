"""Every key of containerlab's is in the one list, understood or refused by name, and the documentation says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topologies.files import GOOD, problems_of_topology
from topologies import keys

DOCS = Path(__file__).resolve().parents[2] / "docs/containerlab.md"
PLACES = {"top": keys.TOP, "node": keys.NODE, "link": keys.LINK, "endpoint": keys.ENDPOINT}


def test_the_documentation_is_what_the_code_says() -> None:
    assert DOCS.read_text(encoding="utf-8") == keys.page(), "python -m topologies.keys > docs/containerlab.md"


@pytest.mark.parametrize("place", PLACES)
def test_every_key_is_listed_once_and_in_order(place: str) -> None:
    names = [key.name for key in PLACES[place]]
    assert len(set(names)) == len(names)
    assert names == sorted(keys.supported(PLACES[place])) + sorted(keys.refused(PLACES[place]))


def with_key(place: str, key: str) -> str:
    return {
        "top": f"{key}: 1\n{GOOD}",
        "node": GOOD.replace("    b: {", f"    b: {{{key}: 1, "),
        "link": GOOD.replace("- endpoints: [a:eth1, b:eth1]", f"- {{endpoints: [a:eth1, b:eth1], {key}: 1}}"),
        "endpoint": GOOD.replace(
            "- endpoints: [a:eth1, b:eth1]",
            f"- {{type: veth, endpoints: [{{node: a, interface: eth1, {key}: 1}}, {{node: b, interface: eth1}}]}}",
        ),
    }[place]


@pytest.mark.parametrize(
    ("place", "key"), [(place, key) for place, listed in PLACES.items() for key in keys.refused(listed)]
)
def test_a_key_that_is_not_understood_is_refused_by_name(tmp_path: Path, place: str, key: str) -> None:
    problems = problems_of_topology(tmp_path, with_key(place, key))
    assert any(repr(key) in p.found and "known to containerlab" in p.expected for p in problems), problems
