"""From the verdicts of trials to that of a target, of a scenario, and to a run's exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.evidence.schema import VerdictWord

PASS, FAIL, BAD_INPUT, UNKNOWN = 0, 1, 2, 3
"""Exit codes."""

_RANK: dict[VerdictWord, int] = {"fail": 2, "unknown": 1, "pass": 0}


def worst(words: Iterable[VerdictWord]) -> VerdictWord:
    """Fail, unknown, pass: the first of them that there is; unknown where there is none."""
    return max(words, key=lambda word: _RANK[word], default="unknown")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a run came to. `verdicts`: of each target its last attempt, what is not promised left out; `went_wrong`: whether anything
    else failed: a test of the user's own, a timeout, a teardown."""

    verdicts: frozenset[VerdictWord]
    went_wrong: bool = False
    bad_input: bool = False

    @property
    def exit_code(self) -> int:
        """2 for bad input; else 1 for a fail; else 3 for an unknown, for anything that went wrong, or where nothing was judged."""
        if self.bad_input:
            return BAD_INPUT
        if "fail" in self.verdicts:
            return FAIL
        return UNKNOWN if "unknown" in self.verdicts or self.went_wrong or not self.verdicts else PASS

    @property
    def verdict(self) -> VerdictWord:
        """The run's, which its exit code says as well."""
        words: dict[int, VerdictWord] = {PASS: "pass", FAIL: "fail"}
        return words.get(self.exit_code, "unknown")
