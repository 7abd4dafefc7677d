"""Reads an evidence file back into typed records and groups them as reports need them.

It tolerates what a crash leaves (a cut last line) and nothing else; it knows no page and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import structs

from reports.evidence.again import first
from reports.evidence.schema import (
    RECORD_OF,
    VERSION,
    Connection,
    ConnectionRecord,
    Episode,
    EpisodeRecord,
    EventRecord,
    FaultRecord,
    Flows,
    FlowsRecord,
    Load,
    LoadRecord,
    Phase,
    PhaseRecord,
    Record,
    Run,
    RunRecord,
    Topology,
    TopologyRecord,
    Trust,
    TrustRecord,
    Verdict,
    VerdictRecord,
    VerdictWord,
)


class EvidenceError(Exception):
    """The file cannot be read as evidence; the text says which line, what was found and what would be right."""


@dataclass(frozen=True)
class ScenarioEvidence:
    """All records of one scenario, in the order of the file."""

    name: str
    records: tuple[Record, ...]

    @cached_property
    def verdict(self) -> Verdict | None:
        """The last one: a scenario that was judged again replaces its verdict. None if the run ended before."""
        return next((r.data for r in reversed(self.records) if isinstance(r, VerdictRecord)), None)

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        return tuple(r.data for r in self.records if isinstance(r, PhaseRecord))

    @cached_property
    def faults(self) -> tuple[FaultRecord, ...]:
        """With their envelopes, whose `t_ns` is the instant of each step."""
        return tuple(r for r in self.records if isinstance(r, FaultRecord))

    @cached_property
    def events(self) -> tuple[EventRecord, ...]:
        return tuple(sorted((r for r in self.records if isinstance(r, EventRecord)), key=lambda r: r.t_ns))

    @cached_property
    def flows(self) -> tuple[Flows, ...]:
        return tuple(r.data for r in self.records if isinstance(r, FlowsRecord))

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        return tuple(r.data for r in self.records if isinstance(r, ConnectionRecord))

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        return tuple(r.data for r in self.records if isinstance(r, LoadRecord))

    @cached_property
    def trust(self) -> tuple[Trust, ...]:
        return tuple(r.data for r in self.records if isinstance(r, TrustRecord))

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        return tuple(r.data for r in self.records if isinstance(r, EpisodeRecord))

    @property
    def event_ns(self) -> int | None:
        """The Convergence Event Instant: as the flows carry it, else the instant of injection."""
        if self.flows:
            return self.flows[0].event_ns
        return next((r.t_ns for r in self.faults if r.data.action == "inject"), None)

    @property
    def heal_ns(self) -> int | None:
        """When healing began: what is lost from then on is the cost of the heal, not of the fault."""
        return next((r.t_ns for r in self.faults if r.data.action == "heal"), None)


@dataclass(frozen=True)
class Evidence:
    """`cut` is a sentence about the lost last line, or None when the file is whole; `unknown_kinds` one about lines
    that a newer nospof wrote and this one leaves out."""

    records: tuple[Record, ...]
    cut: str | None = None
    unknown_kinds: str | None = None
    path: Path | None = field(default=None, compare=False)

    @cached_property
    def start(self) -> Run | None:
        return next((r.data for r in self.records if isinstance(r, RunRecord) and r.data.event == "start"), None)

    @cached_property
    def end(self) -> Run | None:
        """None if the run never ended: it was killed, or it is still going on."""
        return next(
            (r.data for r in reversed(self.records) if isinstance(r, RunRecord) and r.data.event == "end"), None
        )

    @property
    def run(self) -> Run | None:
        """What is known of the run: its end, which repeats its start and adds what only the end knows."""
        return self.end or self.start

    @cached_property
    def topology(self) -> Topology | None:
        return next((r.data for r in self.records if isinstance(r, TopologyRecord)), None)

    @cached_property
    def trust(self) -> tuple[Trust, ...]:
        """Checks of the instrument that belong to the run and to no single scenario."""
        return tuple(r.data for r in self.records if isinstance(r, TrustRecord) and r.scenario is None)

    @cached_property
    def scenarios(self) -> tuple[ScenarioEvidence, ...]:
        """One per scenario, in the order in which they first appear: its second try where that came to a verdict, else its
        first. Both are in the file."""
        found: dict[str, list[Record]] = {}
        for one in self.records:
            if one.scenario is not None:
                found.setdefault(one.scenario, []).append(one)
        made: dict[str, ScenarioEvidence] = {}
        for name, records in found.items():
            one_try = ScenarioEvidence(first(name), tuple(map(_under_own_name, records)))
            if first(name) not in made or one_try.verdict is not None:
                made[first(name)] = one_try
        return tuple(made.values())

    @property
    def verdict(self) -> VerdictWord:
        """The whole run's: the worst of its scenarios' verdicts and of what its end says; what is not promised does not count.

        A run that has no end, or a scenario that was never judged, is unknown: nobody knows what was still to come.
        """
        verdicts = [one.verdict for one in self.scenarios]
        words: list[VerdictWord] = [v.verdict if v else "unknown" for v in verdicts if v is None or v.counts]
        if self.end is None:
            words.append("unknown")
        elif self.end.verdict is not None:
            words.append(self.end.verdict)
        return overall(words) if any(v is None or v.counts for v in verdicts) else overall([*words, "unknown"])


def _under_own_name(record: Record) -> Record:
    if isinstance(record, VerdictRecord):
        return structs.replace(record, data=structs.replace(record.data, scenario=first(record.data.scenario)))
    return record


def overall(verdicts: Iterable[VerdictWord]) -> VerdictWord:
    """`unknown` is never a pass, and neither is nothing."""
    seen = set(verdicts)
    if "fail" in seen:
        return "fail"
    return "pass" if seen == {"pass"} else "unknown"


class _Version(msgspec.Struct):
    v: int = VERSION
    kind: str = ""


_KINDS = frozenset(str(one.__struct_config__.tag) for one in RECORD_OF.values())
_decode_version = msgspec.json.Decoder(_Version)
_decode_record: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def read_evidence(path: Path | str) -> Evidence:
    """Read a whole file.

    A last line without its newline that does not parse is what a crash leaves: it is dropped, and `cut` says so. A kind
    of record that this version does not know was added later: it is left out, and `unknown_kinds` says so.
    Raises EvidenceError for a newer version, any other line that does not parse, or a file that cannot be opened.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror or error}") from error
    lines = raw.split(b"\n")
    last = len(lines)
    records: list[Record] = []
    cut: str | None = None
    unknown: dict[str, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            head = _decode_version.decode(line)
            if head.v > VERSION:
                raise EvidenceError(
                    f"{path}:{number}: evidence version {head.v} is newer than version {VERSION}, the newest that this "
                    f"nospof reads; render it with the nospof that wrote it, or update this one"
                )
            if head.kind and head.kind not in _KINDS:
                unknown.setdefault(head.kind, []).append(number)
                continue
            records.append(_decode_record.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if number == last:
                cut = f"line {number} was cut after {len(line)} bytes and is left out: the run did not end by itself"
                break
            raise EvidenceError(f"{path}:{number}: not a line of evidence: {error}") from error
    return Evidence(records=tuple(records), cut=cut, unknown_kinds=_left_out(unknown), path=path)


def _left_out(unknown: dict[str, list[int]]) -> str | None:
    if not unknown:
        return None
    told = ", ".join(
        f"{len(at)} of kind {kind!r} (line {at[0]}{' and later' if len(at) > 1 else ''})"
        for kind, at in unknown.items()
    )
    return f"lines that a newer nospof wrote are left out: {told}; render it with the nospof that wrote it to see them"
