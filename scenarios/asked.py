"""What a run was asked to play, and whether that can be: pure, from the files and the options alone, before anything is deployed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scenarios.catalogue import ENTRIES, Entry
from scenarios.targets import named_link, ordered_nodes
from topologies.contract import Contract
from topologies.model import Topology
from topologies.problems import BadInput, Problem, closest, one_of


@dataclass(frozen=True, slots=True)
class Play:
    """A scenario of a run: one trial at each of `targets`; where there are none, one at the first of `candidates` that carries
    traffic. `left_out`: why it is not played at all, a sentence."""

    entry: Entry
    targets: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    left_out: str = ""


def check_asked(
    topology: Topology, contract: Contract, names: Collection[str], targets: Sequence[str], each: bool
) -> None:
    """Raises BadInput, with all problems, for what was asked for and cannot be."""
    plays(topology, contract, names, targets, each)


def plays(
    topology: Topology, contract: Contract, names: Collection[str], targets: Sequence[str], each: bool
) -> tuple[Play, ...]:
    """Every scenario of the run, in the catalogue's order. `names`: those that were asked for by name; none: all that are played
    unasked. `each`: at every element that it can be aimed at.

    Raises BadInput, with all problems: by name, a scenario that does not apply, or a target that does not fit; else a target that
    fits none.
    """
    if targets and each:
        found = f"--each beside --target {targets[0]}"
        raise BadInput(
            [Problem(topology.path, 0, "--each", found, "one of the two: every target, or those that are named")]
        )
    asked, problems = _asked(topology, contract, names, targets, each)
    if not names:
        problems = [problem for target in targets if (problem := _fits_none(topology, contract, target)) is not None]
    if problems:
        raise BadInput(problems)
    return tuple(asked)


def _asked(
    topology: Topology, contract: Contract, names: Collection[str], targets: Sequence[str], each: bool
) -> tuple[list[Play], list[Problem]]:
    asked: list[Play] = []
    problems: list[Problem] = []
    for entry in ENTRIES.values():
        if entry.name in names if names else not entry.only_named:
            play, wrong = _play(entry, topology, contract, targets, each, unasked=not names)
            asked.append(play)
            problems += wrong
    return asked, problems


def _play(
    entry: Entry, topology: Topology, contract: Contract, targets: Sequence[str], each: bool, *, unasked: bool
) -> tuple[Play, list[Problem]]:
    """One scenario, and what is wrong with it. What is not promised is played only where it is asked for by name."""
    problems: list[Problem] = []
    fitting: list[str] = []
    try:
        if not targets:
            entry.applies(topology, contract)
    except BadInput as error:
        problems += error.problems
    for target in targets:
        try:
            (_fits_unasked if unasked else Entry.fits)(entry, topology, contract, target)
            fitting.append(entry.called(topology, target))
        except BadInput as error:
            problems += error.problems
    if problems and not fitting:
        why = "; ".join(map(str, problems))
        return Play(entry, left_out=f"{entry.name} does not apply: {why}"), problems
    elements = tuple(dict.fromkeys(fitting)) if targets else entry.candidates(topology, contract)
    if unasked:
        elements = tuple(element for element in elements if entry.promised(topology, contract, element))
        if not elements:
            return Play(entry, left_out=f"{entry.name} is not promised: not played"), problems
    if targets or each:
        return Play(entry, targets=elements), problems
    return Play(entry, candidates=elements), problems


def _fits_unasked(entry: Entry, topology: Topology, contract: Contract, target: str) -> None:
    """Raises BadInput. A node is meant itself, unless somebody asks for a cut of its links by name."""
    entry.fits(topology, contract, target)
    if entry.kind == "link":
        named_link(topology, target)


def _fits_none(topology: Topology, contract: Contract, target: str) -> Problem | None:
    """Where no scenario is named, a target has to fit one of those that are played unasked."""
    able = [entry for entry in ENTRIES.values() if _is_fit(entry, topology, contract, target)]
    if any(not entry.only_named for entry in able):
        return None
    if able:
        by_name = one_of([f"{entry.name} --target {target}" for entry in able])
        found = f"{target}, which fits no scenario that is played unasked"
        return Problem(topology.path, 0, "--target", found, by_name)
    known = (*ordered_nodes(topology), *topology.regions())
    expected = f"a node, a region or NODE:INTERFACE out of {', '.join(known)}{closest(target, known)}"
    return Problem(topology.path, 0, "--target", f"{target!r}, which no scenario can break", expected)


def _is_fit(entry: Entry, topology: Topology, contract: Contract, target: str) -> bool:
    try:
        _fits_unasked(entry, topology, contract, target)
    except BadInput:
        return False
    return True
