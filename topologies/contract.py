"""Reads a contract: the services of a topology, what can be done to its nodes, and what failures may cost.

Must not know runtimes or scenarios; of the topology it needs the roles only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

from topologies.budget.classes import Judging, judged_by, watch_ns
from topologies.budget.keys import WATCH
from topologies.budget.model import Budget
from topologies.budget.reading import check_budget_name, read_budget
from topologies.document import Value, read_document
from topologies.figures import MINUTE, SECOND, Durations, read_duration, read_percentage
from topologies.image.cache import digest
from topologies.model import Topology
from topologies.problems import closest, one_of
from topologies.services import Service, Spoken, read_services

__all__ = ["Action", "Budget", "Contract", "Judging", "Service", "contract_path_for", "load_contract"]

Action = Literal["drain", "undrain", "withdraw", "announce"]

_KEYS = ("actions", "availability", "budgets", "events", "prefixes", "processes", "services", "version", "watch")
# Each with what takes it back: a fault that could not be healed must not be injected.
_ACTIONS = {"drain": "undrain", "withdraw": "announce"}
_ACTION_NAMES = (*_ACTIONS, *_ACTIONS.values())
WITHIN_NS = 5 * SECOND
"""Within which an action has to end where the contract says nothing."""
_WITHIN = Durations("8s", "over 0s and at most 5m", 1, 5 * MINUTE)


@dataclass(frozen=True, slots=True)
class Contract:
    """What clients were promised. `availability` is a share (0.9999); `events` a socket's path in every node; `within`, by role, is
    the time that an action has, in nanoseconds; `watch_ns`: for how long every fault is watched at least."""

    version: int
    path: Path
    prefixes: tuple[IPv4Network | IPv6Network, ...]
    services: Mapping[str, Service]
    processes: Mapping[str, tuple[str, ...]]
    events: str | None
    actions: Mapping[str, Mapping[str, tuple[str, ...]]]
    budgets: Mapping[str, Budget]
    availability: float | None
    digest: str = ""
    watch_ns: int | None = None
    within: Mapping[str, int] = field(default_factory=dict)

    def budget(self, fault: str, role: str | None = None) -> Budget | None:
        """The most specific one for a fault class at a role, whole; None means measured but not judged."""
        judging = self.judged_by(fault, role)
        return None if judging is None or judging.kin or judging.budget.not_promised else judging.budget

    def budget_name(self, fault: str, role: str | None = None) -> str | None:
        """The key under which `budget` found what it returns."""
        judging = self.judged_by(fault, role)
        return None if judging is None or self.budget(fault, role) is None else judging.name

    def judged_by(self, fault: str, role: str | None = None) -> Judging | None:
        """The budget that holds for a fault class at a role, its own or that of its nearest kin; None: not judged."""
        return judged_by(self.budgets, fault, role)

    def watched_ns(self, fault: str, role: str | None = None) -> int | None:
        """For how long the contract wants a fault watched at least, in nanoseconds; None where it says nothing."""
        own = watch_ns(self.budgets, fault, role)
        return self.watch_ns if own is None else own

    def within_ns(self, role: str) -> int:
        """The time that an action in a node of that role has, in nanoseconds."""
        return self.within.get(role, WITHIN_NS)

    @property
    def answers_requests(self) -> bool:
        """Whether some service answers requests, by HTTP or as it is expected to, so that new ones can be judged."""
        return any(service.answers_requests for service in self.services.values())

    def action(self, role: str, name: Action) -> tuple[str, ...] | None:
        """The argument vector to run in a node of that role; None where the generic way has to do."""
        return self.actions.get(role, {}).get(name)


def contract_path_for(topology_path: Path) -> Path:
    """The contract beside a topology: `X.clab.yml` → `X.contract.yml`, `X.yml` → `X.contract.yml`."""
    suffix = topology_path.suffix if topology_path.suffix in (".yml", ".yaml") else ".yml"
    stem = topology_path.name.removesuffix(topology_path.suffix).removesuffix(".clab")
    return topology_path.with_name(f"{stem}.contract{suffix}")


def load_contract(path: Path, topology: Topology) -> Contract:
    """Reads and checks the file against the roles of its topology. Raises BadInput with all problems."""
    path = Path(path)
    document = read_document(path, f"the contract of {topology.path.name}, beside it or named by --contract")
    root = document.root()
    fields = root.fields("a contract", _KEYS)
    roles = topology.roles()
    version = fields["version"].integer(1, 1, "1, the only version") if "version" in fields else None
    for key, expected in (("version", "1"), ("prefixes", "a list of prefixes"), ("services", "at least one service")):
        if key not in fields:
            root.complain_missing(key, expected)
    prefixes = _prefixes(fields.get("prefixes"))
    services = read_services(fields["services"], _LiesIn(prefixes)) if "services" in fields else {}
    actions, within = _actions(fields.get("actions"), roles)
    contract = Contract(
        version=version or 1,
        path=path,
        prefixes=prefixes,
        services=services,
        processes=_processes(fields.get("processes"), roles),
        events=_events(fields.get("events")),
        actions=actions,
        budgets=_budgets(fields.get("budgets"), roles, _spoken(fields.get("services"), services)),
        availability=_availability(fields.get("availability")),
        digest=digest([document.text]),
        watch_ns=read_duration(fields["watch"], WATCH) if "watch" in fields else None,
        within=within,
    )
    document.refuse_if_bad()
    return contract


def _prefixes(value: Value | None) -> tuple[IPv4Network | IPv6Network, ...]:
    if value is None:
        return ()
    expected = "a list of prefixes such as [203.0.113.0/24]"
    items = value.items(expected)
    if not items and value.shape.startswith("a list"):
        value.complain(expected)
    prefixes = []
    for item in items:
        text = item.text("a prefix such as 203.0.113.0/24")
        if text is None:
            continue
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            item.complain("a prefix such as 203.0.113.0/24 or '2001:db8:f::/48'")
            continue
        if "/" not in text or ip_address(text.partition("/")[0]) != network.network_address:
            item.complain(f"{network}, a prefix without host bits")
        prefixes.append(network)
    return tuple(prefixes)


class _LiesIn:
    """Asks whether an address lies in some prefix; answers with the prefixes if it does not."""

    def __init__(self, prefixes: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self.prefixes = prefixes

    def __call__(self, address: IPv4Address | IPv6Address) -> str | None:
        if any(address in prefix for prefix in self.prefixes):
            return None
        return ", ".join(str(prefix) for prefix in self.prefixes) or "of which there are none"


def _by_role(value: Value | None, roles: tuple[str, ...]) -> dict[str, Value]:
    entries = value.entries("a mapping whose keys are roles") if value else {}
    for role, entry in entries.items():
        if role not in roles:
            known = one_of(roles) if roles else "a role given by a label nospof.role"
            entry.complain_of_key(f"the role {role!r}, which no node has", f"{known}{closest(role, roles)}")
    return entries


def _words(value: Value, expected: str) -> tuple[str, ...]:
    items = value.items(expected)
    if not items and (value.absent or value.shape.startswith("a list")):
        value.complain(expected)
    words = [item.text("a string") for item in items]
    for item, word in zip(items, words, strict=True):
        if word == "":
            item.complain("a string that is not empty")
    return tuple(word for word in words if word)


def _processes(value: Value | None, roles: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    entries = _by_role(value, roles)
    return {role: _words(entry, "a list of process names such as [bgpd, bfdd]") for role, entry in entries.items()}


def _actions(
    value: Value | None, roles: tuple[str, ...]
) -> tuple[dict[str, dict[str, tuple[str, ...]]], dict[str, int]]:
    """By role: what is run, and within which time it has to end, where that is given."""
    actions: dict[str, dict[str, tuple[str, ...]]] = {}
    within: dict[str, int] = {}
    for role, entry in _by_role(value, roles).items():
        given = entry.fields("actions", (*_ACTION_NAMES, "within"))
        limit = given.pop("within", None)
        actions[role] = {name: _words(argv, f"a list such as [l4ctl, {name}]") for name, argv in given.items()}
        for name, back in _ACTIONS.items():
            if name in given and back not in given:
                given[name].complain_of_key(f"{name!r} without {back!r}", f"{back!r} too, or it could not be healed")
        if limit is None:
            continue
        if not given:
            limit.complain_of_key("'within' without an action", f"it beside {one_of(_ACTION_NAMES)}")
        if (duration := read_duration(limit, _WITHIN)) is not None:
            within[role] = duration
    return actions, within


def _spoken(value: Value | None, services: Mapping[str, Service]) -> set[Spoken] | None:
    """By what the services can be measured; None where some could not be read: what they are is not known then."""
    whole = value is not None and services and len(services) == len(value.entries("a mapping of names to services"))
    return {spoken for service in services.values() for spoken in service.spoken} if whole else None


def _budgets(value: Value | None, roles: tuple[str, ...], spoken: set[Spoken] | None) -> dict[str, Budget]:
    entries = value.entries("a mapping of fault classes to budgets") if value else {}
    for name, entry in entries.items():
        check_budget_name(entry, name, roles)
        if entry.absent:
            entry.complain(
                "a mapping such as {black_hole: 300ms}, or not promised; leave a fault class out to measure without judging"
            )
    return {name: read_budget(entry, name, spoken) for name, entry in entries.items() if not entry.absent}


def _events(value: Value | None) -> str | None:
    text = value.text("an absolute path in the node") if value else None
    if value and text is not None and not re.fullmatch(r"/[!-~]*[^/\s]", text):
        value.complain("an absolute path in the node, such as /run/nospof/events.sock")
    return text


def _availability(value: Value | None) -> float | None:
    percentage = read_percentage(value, "a percentage such as 99.99%") if value else None
    return None if percentage is None else float(percentage / 100)
