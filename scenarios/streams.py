"""Whether a `stream:` of a contract streams: asked once, before anything is measured."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec

from probes.connections.asking import exchange
from probes.connections.speech import Answer, Offence
from scenarios.schedule import Reached, connected_to
from topologies.linux.netns import inside
from topologies.services import Service

GOES_ON_S = 1.0
SILENT_S = 2.0
"""A stream that says nothing for so long cannot be told from one that has stopped."""


def missing_stream(namespace: Path, service: Service, vip: str) -> str:
    """Empty when a GET of its stream is answered by 200 and by bytes that go on for over a second; else what it does instead, in the
    first version of HTTP that it speaks."""
    target = msgspec.structs.replace(connected_to([Reached(service, vip, "")])[0], path=service.stream or "/")

    def body() -> str:
        began = time.monotonic()
        first: float | None = None
        try:
            with closing(exchange(target, SILENT_S)) as heard:
                for opening, some in heard:
                    now = time.monotonic()
                    if opening is not None and opening.status != 200:
                        return f"answers {opening.status}"
                    if any(isinstance(one, Answer | Offence) for one in some):
                        return f"its answer ends {now - began:.2f} s after it was asked"
                    if opening is not None:
                        first = now if first is None else first
                        if now - first > GOES_ON_S:
                            return ""
        except OSError as error:
            after = "" if first is None else f"{time.monotonic() - first:.2f} s after its first bytes: "
            return f"{after}{type(error).__name__}: {error}"
        return f"it closes the connection {time.monotonic() - began:.2f} s after it was asked"

    return inside(namespace, body)
