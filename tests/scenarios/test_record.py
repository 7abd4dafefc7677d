"""What is written of new requests: a block per series, whatever it speaks, and every outcome in the words of probes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from probes.requests import Outcome, RequestSeries
from reports.evidence.reader import read_evidence
from reports.evidence.schema import ANSWERED, CORRUPT, LOST, unpack_per_flow
from reports.evidence.writer import EvidenceWriter
from scenarios.measured import RequestsResult
from scenarios.record import write_requests
from tests.scenarios.made import CLOCK, END, EVENT, asked, measured

REDIS = RequestSeries(
    7, "us", "redis", "10.0.0.1", "203.0.113.17", 6379, "203.0.113.17", identity=None, http=None, interval_ns=10_000_000,
    send=b"PING\r\n", expect=b"+PONG",
)  # fmt: skip


def in_words(found: RequestsResult) -> RequestsResult:
    """The same of a service without HTTP: no answer names anybody."""
    return replace(found, trace=replace(found.trace, series=REDIS, backend=np.full(END, 255, np.uint8)))


def test_a_series_without_http_is_written_beside_the_others_and_told_apart(tmp_path: Path) -> None:
    silent = in_words(asked(range(EVENT, EVENT + 5)))
    wrong = in_words(asked([EVENT], how=Outcome.MALFORMED))
    with EvidenceWriter(tmp_path / "evidence.jsonl") as writer:
        given = measured(requests=[asked(), silent, wrong])
        write_requests(writer, "kill-l4", given, CLOCK, {"us": ("l7-1",)})
    blocks = read_evidence(tmp_path / "evidence.jsonl").scenarios[0].flows
    assert [(b.transport, b.service, b.flows[0].dport) for b in blocks] == [
        ("http", "web", 80),
        ("request", "redis", 6379),
        ("request", "redis", 6379),
    ]
    states = [next(iter(unpack_per_flow(b))) for b in blocks]
    assert states[0] == bytes([ANSWERED]) * END
    assert states[1] == bytes([ANSWERED]) * EVENT + bytes([LOST]) * 5 + bytes([ANSWERED]) * (END - EVENT - 5)
    assert states[2][EVENT] == CORRUPT
