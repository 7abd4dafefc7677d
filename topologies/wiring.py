"""Links of a containerlab file: both notations, and what a link must not be.

Must not know how nodes are defined, only which there are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import yaml

from topologies import keys
from topologies.document import Value, shown
from topologies.model import DEFAULT_LINK_MTU, Endpoint, Link
from topologies.problems import closest, one_of

PSEUDO_NODES = ("host", "macvlan", "mgmt-net")
"""Not nodes but doors out of the lab; a lab is closed, so a link to one of them is refused by name."""

_OTHER_LINK_TYPES = ("bridge", "dummy", "host", "macvlan", "macvtap", "mgmt-net", "vxlan", "vxlan-stitch")
_INTERFACE_MAX = 15
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}", re.IGNORECASE)  # odd first bytes are for many interfaces
_MTU_MIN, _MTU_MAX = 68, 65535


@dataclass(slots=True)
class Wiring:
    """Reads links one after another and remembers which endpoints are taken."""

    nodes: Collection[str]
    managed: Collection[str] = ()
    taken: dict[Endpoint, Value] = field(default_factory=dict)

    def link(self, value: Value) -> Link | None:
        """The link, or None after complaining of what it says."""
        fields = value.fields("a link", keys.supported(keys.LINK), keys.refused(keys.LINK))
        typed = self._is_typed(fields)
        mtu = self._mtu(fields)
        labels = self._labels(fields)
        if "endpoints" not in fields:
            value.complain_missing("endpoints", "two endpoints such as [a:eth1, b:eth1]")
            return None
        ends = fields["endpoints"].items("two endpoints such as [a:eth1, b:eth1]")
        if len(ends) != 2:
            if ends or fields["endpoints"].shape.startswith("a list"):
                fields["endpoints"].complain("two endpoints, as a link has two ends")
            return None
        if typed is None:
            return None
        first, second = (self._endpoint(end, typed=typed) for end in ends)
        if first is None or second is None:
            return None
        if first.node == second.node:
            ends[1].complain("an end at another node", f"a link from {first.node!r} to itself")
            return None
        return Link((first, second), mtu, labels, value.key_line)

    def _is_typed(self, fields: Mapping[str, Value]) -> bool | None:
        if "type" not in fields:
            return False
        text = fields["type"].text("'veth', or no type")
        kind = (text or "").strip().lower()
        if kind in _OTHER_LINK_TYPES:
            fields["type"].complain("'veth': this type is known to containerlab, not supported by nospof yet")
            return None
        if text is not None and kind not in ("veth", "brief"):
            fields["type"].complain(f"'veth', or no type{closest(kind, ['veth'])}")
        return None if kind not in ("veth", "brief") else kind == "veth"

    def _mtu(self, fields: Mapping[str, Value]) -> int:
        if "mtu" not in fields:
            return DEFAULT_LINK_MTU
        expected = f"bytes, {_MTU_MIN}–{_MTU_MAX}, such as 1500"
        return fields["mtu"].integer(_MTU_MIN, _MTU_MAX, expected) or DEFAULT_LINK_MTU

    def _labels(self, fields: Mapping[str, Value]) -> dict[str, str]:
        if "labels" not in fields:
            return {}
        entries = fields["labels"].entries("a mapping of names to values")
        read = {name: value.text("a string or a number") for name, value in entries.items()}
        return {name: text for name, text in read.items() if text is not None}

    def _endpoint(self, value: Value, *, typed: bool) -> Endpoint | None:
        node, interface, mac = self._typed(value) if typed else (*self._brief(value), None)
        if node is None or interface is None:
            return None
        if node in PSEUDO_NODES and node not in self.nodes:
            value.complain(f"a node of this lab: a lab is closed, and '{node}:' is not supported by nospof")
            return None
        sound = True
        if node not in self.nodes:
            known = f"a node of this topology, {one_of(self.nodes)}" if self.nodes else "a node of this topology"
            value.complain(f"{known}{closest(node, self.nodes)}", f"node {shown(node)}, which does not exist")
            sound = False
        if problem := _interface_problem(interface):
            value.complain(problem, f"interface {shown(interface)}")
            sound = False
        if interface == "eth0" and node in self.managed:
            value.complain(
                "another interface: eth0 is this node's in the management network, unless it says 'network-mode: none'"
            )
            sound = False
        endpoint = Endpoint(node, interface, mac)
        first = self.taken.setdefault(endpoint, value)
        if first is not value:
            found = f"endpoint {shown(str(endpoint))} again, first on line {first.line}"
            value.complain("every endpoint in one link only; another interface name", found)
            sound = False
        return endpoint if sound else None

    def _brief(self, value: Value) -> tuple[str | None, str | None]:
        if isinstance(value.node, yaml.MappingNode):
            value.complain("'node:interface', or 'type: veth' in this link")
            return None, None
        text = value.text("'node:interface'")
        node, colon, interface = (text or "").partition(":")
        if text is not None and not (node and colon and interface):
            value.complain("'node:interface'")
            return None, None
        return node or None, interface or None

    def _typed(self, value: Value) -> tuple[str | None, str | None, str | None]:
        if not isinstance(value.node, yaml.MappingNode):
            value.complain("a mapping such as {node: a, interface: eth1}, as the link says 'type: veth'")
            return None, None, None
        fields = value.fields("an endpoint", keys.supported(keys.ENDPOINT), keys.refused(keys.ENDPOINT))
        texts = {key: fields[key].text("a MAC" if key == "mac" else "a name") for key in fields}
        if (mac := texts.get("mac")) and not _MAC.fullmatch(mac):
            fields["mac"].complain("a MAC of one interface such as 02:00:00:00:00:01")
        for key in ("node", "interface"):
            if key not in fields:
                value.complain_missing(key, "a name")
        return texts.get("node"), texts.get("interface"), mac.lower() if mac else None


def _interface_problem(name: str) -> str | None:
    """What would be right instead, or None if Linux takes the name."""
    if len(name.encode()) > _INTERFACE_MAX:
        return f"at most {_INTERFACE_MAX} bytes, Linux's limit"
    if not re.fullmatch(r"[!-~]+", name) or re.search(r"[/:%]", name) or name in (".", ".."):
        return "a name without spaces, '/', ':' and '%'"
    if name in ("lo", "all", "default"):
        return "a name that is not the kernel's own, such as eth1"
    return None
