"""Gives every worker the same users, whatever becomes of the others. Knows workers by their id and users by class name.

Locust's own dispatcher spreads a total over all workers: one vantage may get all users of a class, and when a worker
dies its users move to another vantage. Here a vantage is a place, and its load must not change because another's did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class WorkerNode(Protocol):
    """As much of Locust's worker as is used here."""

    id: str


class UserClass(Protocol):
    """As much of a Locust User class as is used here."""

    __name__: str
    weight: float
    fixed_count: int


def apportion(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """`total` in whole parts by weight: largest remainder, ties to the name that sorts first.

    Raises ValueError when no weight is above zero.
    """
    whole = sum(weights.values())
    if whole <= 0:
        raise ValueError("no weight is above zero")
    exact = {name: total * weight / whole for name, weight in weights.items()}
    parts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (parts[name] - exact[name], name))
    for name in by_remainder[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def users_of_a_worker(users: int, classes: Iterable[UserClass]) -> dict[str, int]:
    """How many users of each class a worker runs: fixed counts first, the rest by weight."""
    known = list(classes)
    counts: dict[str, int] = {}
    for cls in sorted((c for c in known if c.fixed_count), key=lambda c: c.__name__):
        counts[cls.__name__] = min(cls.fixed_count, users - sum(counts.values()))
    weights = {c.__name__: c.weight for c in known if not c.fixed_count}
    left = users - sum(counts.values())
    return counts | (apportion(left, weights) if weights else {})


class SameEverywhere:
    """Stands where Locust's UsersDispatcher stands: one step, the same for every worker."""

    dispatch_in_progress = False

    def __init__(self, users: int, *, worker_nodes: Sequence[WorkerNode], user_classes: Sequence[UserClass]) -> None:
        self._counts = users_of_a_worker(users, user_classes)
        self._workers = {node.id for node in worker_nodes}
        self._pending = False

    def new_dispatch(self, target_user_count: int, spawn_rate: float, user_classes: object = None) -> None:
        """Begins a dispatch. Totals and rates are not looked at: every worker gets its users at once."""
        del target_user_count, spawn_rate, user_classes
        self._pending = True

    def add_worker(self, worker_node: WorkerNode) -> None:
        """From the next dispatch on this worker gets users."""
        self._workers.add(worker_node.id)

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """Nothing is sent to this worker any more; the others keep what they have."""
        self._workers.discard(worker_node.id)

    def __iter__(self) -> SameEverywhere:
        return self

    def __next__(self) -> dict[str, dict[str, int]]:
        if not self._pending:
            raise StopIteration
        self._pending = False
        return {worker: dict(self._counts) for worker in sorted(self._workers)}
