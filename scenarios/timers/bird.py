"""What BIRD says of its BGP sessions, from the text of birdc. Pure; it asks nobody.

Source: BIRD user guide, "show protocols all"; the layout is that of BIRD 2 and 3. OSPF's timers are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scenarios.timers.model import Peer, Session, Sessions, seconds_ns

SHOW = ("show", "protocols", "all")
_HEAD = re.compile(r"(?:1002-)?(\S+)\s+BGP\s")
_FIELD = re.compile(r"(?:1006-)?\s+([A-Z][A-Za-z ]*[a-z]):\s+(\S.*)")
_OF = re.compile(r"([0-9.]+)/([0-9.]+)")
_ALSO_OURS = ("Restart time", "AF supported")  # stand among our own capabilities and among the neighbour's
_NEIGHBOUR_RESTARTS = "Neighbor graceful restart active"


def bgp_sessions(text: str) -> Sessions:
    """Every BGP session with one neighbour, from `SHOW`. What waits for neighbours from a range has none yet."""
    found, said = [], []
    blocks = list(_blocks(text))
    for name, lines in blocks:
        fields = _fields(lines)
        if "BGP state" in fields and "Neighbor address" in fields:
            session = _session(fields, any(_NEIGHBOUR_RESTARTS in line for line in lines))
            found += [session] if session else []
            said += [] if session else [f"the hold timer of BIRD's protocol {name} cannot be read"]
    if not blocks and not re.search(r"^BIRD .*ready", text, re.MULTILINE):
        said.append(f"birdc said what is no list of protocols: {text.strip()[:60]!r}")
    return Sessions(tuple(found), tuple(said))


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Name and lines of each protocol that speaks BGP; a line that is not indented begins another one."""
    name, lines = "", list[str]()
    for line in text.splitlines():
        if line and not line[0].isspace() and not line.startswith("1006-"):
            if name:
                yield name, lines
            head = _HEAD.match(line)
            name, lines = (head[1] if head else ""), []
        else:
            lines.append(line)
    if name:
        yield name, lines


def _fields(lines: list[str]) -> dict[str, str]:
    """The protocol's own fields, each the first of its name; but of the capabilities those of the neighbour, not our own."""
    found: dict[str, str] = {}
    neighbour = False
    for line in lines:
        if line.strip().endswith("capabilities"):
            neighbour = line.strip().startswith("Neighbor")
        match = _FIELD.match(line)
        if match and (match[1] not in _ALSO_OURS or neighbour):
            found.setdefault(match[1], match[2].strip())
    return found


def _session(fields: dict[str, str], restarting: bool) -> Session | None:
    address, _, interface = fields["Neighbor address"].partition("%")
    peer = Peer("BGP", address, interface)
    if fields["BGP state"] != "Established":
        return Session(peer, held=False, hold_ns=0, restarting=restarting)
    match = _OF.fullmatch(fields.get("Hold timer", ""))
    left, hold = (seconds_ns(match[1]), seconds_ns(match[2])) if match else (None, None)
    if left is None or hold is None:
        return None
    keeps = fields.get("AF supported", "") != ""  # a peer that only helps others to restart supports none itself
    restart = seconds_ns(fields.get("Restart time", "")) or 0
    return Session(peer, True, hold, max(0, hold - left), restart_ns=restart if keeps else 0, restarting=restarting)
