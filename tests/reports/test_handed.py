"""What must hold of the published format of lines that a node hands over."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.evidence.handed import Drop, Flow, Line, decode, json_schema

SCHEMA = Path(__file__).resolve().parents[2] / "docs/handed.schema.json"


def test_the_published_schema_is_the_one_made_from_the_types() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), (
        "python -m reports.evidence.handed > docs/handed.schema.json"
    )


def test_the_schema_demands_what_the_types_demand() -> None:
    kinds = json_schema()["$defs"]
    assert set(kinds["Line"]["required"]) == {"t_ns", "source", "what"}
    assert set(kinds["Drop"]["required"]) == {"t_ns", "source", "what", "reason", "count", "first_ns", "last_ns"}
    assert kinds["Drop"]["properties"]["what"]["enum"] == ["drop"]
    assert kinds["Line"]["properties"]["what"]["not"] == {"const": "drop"}


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.booleans())
def test_equal_flows_are_equal_however_their_addresses_are_written(
    src: IPv4Address, dst: IPv4Address, mapped: bool
) -> None:
    def written(address: IPv4Address) -> str:
        return f"::ffff:{address}" if mapped else str(address)

    assert Flow(written(src), 1, written(dst), 2, 17) == Flow(str(src), 1, str(dst), 2, 17)


def test_addresses_are_kept_in_their_short_form() -> None:
    flow = Flow("2001:DB8:0:0::1", 1, "2001:0db8::2", 2, 6)
    assert (flow.src, flow.dst) == ("2001:db8::1", "2001:db8::2")
    assert ip_address(flow.src).version == 6


def test_a_line_is_a_drop_only_if_it_says_so() -> None:
    drop = {"t_ns": 9, "source": "l4", "what": "drop", "reason": "options", "count": 1, "first_ns": 1, "last_ns": 1}
    assert isinstance(decode(json.dumps(drop).encode()), Drop)
    assert isinstance(decode(json.dumps(drop | {"what": "dropped"}).encode()), Line)
    with pytest.raises(ValueError, match="reason"):
        decode(b'{"t_ns": 9, "source": "l4", "what": "drop", "count": 1, "first_ns": 1, "last_ns": 1}')
