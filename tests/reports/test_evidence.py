"""What is written can be read, by this version and after a crash, and a newer file is refused.

These tests know the file format and no report.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.evidence.again import again
from reports.evidence.reader import EvidenceError, overall, read_evidence
from reports.evidence.schema import (
    VERSION,
    Event,
    Record,
    Run,
    VerdictRecord,
    json_schema,
    pack_u8,
    record,
    unpack_per_flow,
    unpack_u8,
)
from reports.evidence.writer import EvidenceWriter
from tests.reports.synthetic import DEMO, PLANS, run, topology, write_run


def test_every_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    with EvidenceWriter(path) as writer:
        writer.write(run("start"), t_ns=1)
        writer.write(topology(), t_ns=2, acc_ns=3)
        writer.write(Event(source="bgp", what="up"), t_ns=4, scenario="kill-l4", node="eu-edge-1")
    assert read_evidence(path).records == (
        record(run("start"), t_ns=1),
        record(topology(), t_ns=2, acc_ns=3),
        record(Event(source="bgp", what="up"), t_ns=4, scenario="kill-l4", node="eu-edge-1"),
    )


def test_a_line_has_the_published_keys(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    with EvidenceWriter(path) as writer:
        writer.write(Event(source="bgp", what="up"), t_ns=4)
    line = json.loads(path.read_text())
    assert set(line) == {"v", "t_ns", "acc_ns", "kind", "scenario", "node", "data"}
    assert (line["v"], line["kind"]) == (VERSION, "event")


def test_scenarios_keep_the_order_in_which_they_ran(evidence_file: Path) -> None:
    evidence = read_evidence(evidence_file)
    assert [one.name for one in evidence.scenarios] == [plan.scenario for plan in PLANS]
    assert all(one.verdict and one.flows and one.phases and one.faults for one in evidence.scenarios)
    assert evidence.cut is None
    assert evidence.start is not None
    assert evidence.end is not None


def test_the_second_try_of_a_scenario_stands_for_it_once_it_has_a_verdict(tmp_path: Path) -> None:
    first, other = replace(DEMO[0], verdict="unknown"), DEMO[1]
    second = replace(DEMO[0], scenario=again(first.scenario), verdict="pass")
    whole = write_run(tmp_path / "whole.jsonl", [first, second, other], flows=3)
    evidence = read_evidence(whole)
    assert [one.name for one in evidence.scenarios] == [first.scenario, other.scenario]
    verdict = evidence.scenarios[0].verdict
    assert verdict
    assert (verdict.scenario, verdict.verdict) == (first.scenario, "pass")
    lines = whole.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith('{"kind":"verdict"') and second.scenario in line)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:at]))
    (unfinished,) = read_evidence(tmp_path / "cut.jsonl").scenarios
    assert unfinished.verdict
    assert unfinished.verdict.verdict == "unknown"


def test_evidence_cut_anywhere_in_its_last_line_is_read_up_to_the_line_before(tmp_path: Path) -> None:
    path = write_run(tmp_path / "evidence.jsonl", PLANS[:1])
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    records = read_evidence(path).records
    for keep in (last + 1, last + 20, len(whole) - 2):
        path.write_bytes(whole[:keep])
        cut = read_evidence(path)
        assert cut.records == records[:-1]
        assert cut.cut is not None
        assert "cut" in cut.cut
        assert cut.verdict == "unknown", "a run without its end is never a pass"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, tuple[Record, ...]]:
    """A small run with every kind of record: where to cut it, its bytes, and what is in them."""
    path = write_run(tmp_path_factory.mktemp("whole") / "evidence.jsonl", PLANS[2:3], flows=2)
    return path.with_name("cut.jsonl"), path.read_bytes(), read_evidence(path).records


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_evidence_cut_at_any_byte_opens_up_to_the_last_whole_record(
    whole_run: tuple[Path, bytes, tuple[Record, ...]], data: st.DataObject
) -> None:
    path, whole, records = whole_run
    keep = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:keep])
    found = read_evidence(path)
    # a record is whole once its last byte has arrived, with its newline or without
    complete = whole[: keep + 1].count(b"\n") if whole[keep : keep + 1] == b"\n" else whole[:keep].count(b"\n")
    assert found.records == records[:complete]
    assert (found.cut is not None) == (
        keep > 0 and complete == whole[:keep].count(b"\n") and whole[keep - 1 : keep] != b"\n"
    )
    failed = any(isinstance(one, VerdictRecord) for one in found.records)
    assert found.verdict == ("fail" if failed else "unknown"), "a run without its end is never a pass; a fail stays one"


def test_a_cut_inside_a_character_is_a_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes('{"kind":"event","v":1,"t_ns":1,"data":{"source":"ü'.encode()[:-1])
    assert read_evidence(path).cut is not None


def test_a_writer_that_continues_a_cut_file_glues_nothing_to_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(b'{"kind":"event","v":1,"t_ns":1,"data":{"source":"a","what":"b"}}\n{"kind":"ev')
    with EvidenceWriter(path) as writer:
        writer.write(Event(source="c", what="d"), t_ns=2)
    assert [one.t_ns for one in read_evidence(path).records] == [1, 2]


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(b'{"kind":"ev\n{"kind":"event","v":1,"t_ns":1,"data":{"source":"a","what":"b"}}\n')
    with pytest.raises(EvidenceError, match=r"evidence\.jsonl:1: "):
        read_evidence(path)


def test_a_whole_last_line_that_is_wrong_is_an_error_and_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_bytes(b'{"kind":"event","v":1,"t_ns":"soon","data":{}}\n')
    with pytest.raises(EvidenceError, match=":1: "):
        read_evidence(path)


def test_a_newer_version_is_refused_by_number_even_if_it_would_parse(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_text(f'{{"kind":"event","v":{VERSION + 1},"t_ns":1,"data":{{"source":"a","what":"b"}}}}\n')
    with pytest.raises(EvidenceError, match=f"version {VERSION + 1} is newer than version {VERSION}"):
        read_evidence(path)


def test_an_unknown_field_of_this_version_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    path.write_text('{"kind":"event","v":1,"t_ns":1,"data":{"source":"a","what":"b","more":1}}\n')
    assert len(read_evidence(path).records) == 1


def test_a_missing_file_is_an_evidence_error(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_evidence(tmp_path / "none.jsonl")


def test_lines_of_many_threads_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    with EvidenceWriter(path) as writer:

        def write(thread: int) -> None:
            for n in range(200):
                writer.write(Event(source=str(thread), what="x" * 500), t_ns=n)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(read_evidence(path).records) == 800


@given(st.binary(max_size=5000))
def test_packing_loses_nothing(values: bytes) -> None:
    assert unpack_u8(pack_u8(values)) == values


@pytest.mark.parametrize("text", ["", "not base64!", "AAAA"])
def test_what_is_not_packed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a packed block"):
        unpack_u8(text)


def test_a_block_with_fewer_states_than_it_announces_is_refused(evidence_file: Path) -> None:
    block = read_evidence(evidence_file).scenarios[0].flows[0]
    short = msgspec.structs.replace(block, state=pack_u8(b"\0"))
    with pytest.raises(ValueError, match="1 states for"):
        unpack_per_flow(short)


def test_the_worst_verdict_is_the_runs_and_nothing_is_unknown() -> None:
    assert overall([]) == "unknown"
    assert overall(["pass", "pass"]) == "pass"
    assert overall(["pass", "unknown"]) == "unknown"
    assert overall(["unknown", "fail", "pass"]) == "fail"


def test_the_schema_is_published_with_every_kind() -> None:
    schema = json_schema()
    kinds = {"run", "topology", "phase", "fault", "event", "flows", "connection", "load", "trust", "episode", "verdict"}
    assert set(schema["discriminator"]["mapping"]) == kinds
    json.dumps(schema)


def test_a_run_record_needs_what_it_takes_to_do_it_again() -> None:
    assert {"reproduce", "commit", "argv", "version"} <= set(Run.__struct_fields__)
