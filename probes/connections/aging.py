"""Whether an idle connection was closed for its age, as servers close what they have kept for long enough. Pure; it knows no fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probes.connections.log import ConnectionRecord

AGE_TOLERANCE_NS = 100_000_000
"""Ages that differ by no more are one age. Both ends of an age are read by a process that may be late, by 50 ms at most where it is
trusted; the timers behind ages tick in milliseconds."""
APART_NS = 2 * AGE_TOLERANCE_NS
"""Ages that began further apart than this and are one age did not end at one instant, nor within AGE_TOLERANCE_NS of one."""


def closed_by_age(record: ConnectionRecord, others: Sequence[ConnectionRecord], idle_ns: int | None = None) -> bool:
    """Whether an idle connection that ended without notice, by a close or an unasked reset, did so for its age.

    It did when it had been silent for as long as its service keeps idle ones (`idle_ns`, None: nobody said). Else when at least two
    of `others`, untouched connections of the same service, ended in the same way at the same age, and all three ages began at
    different times. An age is counted from when a connection was opened or from its last answer: servers know both limits.
    """
    if not _ended_without_notice(record):
        return False
    if idle_ns is not None and _silence_ns(record) >= idle_ns - AGE_TOLERANCE_NS:
        return True
    if record.unanswered_ns is not None:
        return False  # asked: when it ended tells when somebody asked
    alike = [o for o in others if _ended_without_notice(o) and o.broken_by == record.broken_by and not o.unanswered_ns]
    return any(_one_age(record, alike, since) for since in (_opened_ns, _last_heard_ns))


def _ended_without_notice(record: ConnectionRecord) -> bool:
    return record.use == "idle" and record.broken_by in ("closed", "reset")


def _opened_ns(record: ConnectionRecord) -> int:
    return record.opened_ns


def _last_heard_ns(record: ConnectionRecord) -> int:
    return record.opened_ns if record.last_answer_ns is None else record.last_answer_ns


def _silence_ns(record: ConnectionRecord) -> int:
    """How long nothing was said on it until it ended, or until it was asked and gave no answer."""
    until = record.broken_ns if record.unanswered_ns is None else record.unanswered_ns
    return (until or 0) - _last_heard_ns(record)


def _one_age(
    record: ConnectionRecord, others: Sequence[ConnectionRecord], since: Callable[[ConnectionRecord], int]
) -> bool:
    """Whether two of `others` ended at this one's age, all three ages having begun APART_NS from each other."""

    def age(one: ConnectionRecord) -> int:
        return (one.broken_ns or 0) - since(one)

    began = sorted(since(o) for o in others if abs(age(o) - age(record)) <= AGE_TOLERANCE_NS)
    apart = [t for t in began if abs(t - since(record)) > APART_NS]
    return bool(apart) and apart[-1] - apart[0] > APART_NS
