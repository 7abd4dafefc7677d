"""What FRR says of its BGP and OSPF sessions, from the JSON of vtysh. Pure; it asks nobody.

Source: FRR user guide, "show bgp neighbors" and "show ip ospf neighbor"; FRR 10.3 tells the age of a message in whole seconds.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from scenarios.timers.model import DAY, SECOND, Peer, Session, Sessions

BGP = ("vtysh", "-d", "bgpd", "-c", "show bgp vrf all neighbors json")
OSPF = (
    "vtysh",
    "-d",
    "ospfd",
    "-c",
    "show ip ospf vrf all interface json",
    "-c",
    "show ip ospf vrf all neighbor detail json",
)
_ROUNDED_NS = SECOND  # an age in whole seconds is off by up to one, either way
_MS = 1_000_000


def bgp_sessions(text: str) -> Sessions:
    """Every BGP session of every VRF, from `BGP`."""
    documents, said = _documents(text)
    found: list[Session] = []
    odd: list[str] = []
    for vrf, content in _vrfs(documents):
        for name, told in content.items():
            if isinstance(told, Mapping) and "bgpState" in told:
                session = _bgp(vrf, name, told)
                odd += [] if session else [f"the BGP session with {name} has no hold time that can be read"]
                found += [session] if session else []
    return Sessions(tuple(found), (*said, *odd))


def _bgp(vrf: str, name: str, told: Mapping[str, Any]) -> Session | None:
    hold = _ns(told.get("bgpTimerHoldTimeMsecs"), _MS)
    if hold is None:
        return None
    # An unnumbered session is named by its interface: its neighbour's link-local address may be another one after a restart.
    peer = Peer("BGP", name, "", vrf) if _is_address(name) else Peer("BGP", "", name, vrf)
    held = told.get("bgpState") == "Established"
    read, reset = _ns(told.get("bgpTimerLastRead"), _MS), _ns(told.get("lastResetTimerMsecs"), _MS)
    graceful = _mapping(told.get("gracefulRestartInfo"))
    received = _ns(_mapping(graceful.get("timers")).get("receivedRestartTimer"), SECOND)
    return Session(
        peer,
        held,
        hold,
        silent_ns=None if read is None else read + _ROUNDED_NS,
        ended_ns=None if held or reset is None else max(0, reset - _ROUNDED_NS),
        # A peer that only helps others to restart says so, with a restart time that nothing waits for.
        restart_ns=(received or 0) if graceful.get("remoteGrMode") == "Restart" else 0,
        restarting="gracefulRestartTimerMsecs" in graceful,
    )


def ospf_sessions(text: str) -> Sessions:
    """Every OSPF neighbour of every VRF, from `OSPF`: its interface tells how long it may be silent."""
    documents, said = _documents(text)
    dead: dict[tuple[str, str], int] = {}
    for vrf, content in _vrfs(documents):
        for name, told in _mapping(content.get("interfaces")).items():
            interval = _ns(_mapping(told).get("timerDeadSecs"), SECOND)
            if interval:
                dead[vrf, name] = interval
    found: list[Session] = []
    odd: list[str] = []
    for vrf, content in _vrfs(documents):
        for router, several in _mapping(content.get("neighbors")).items():
            for told in several if isinstance(several, list) else []:
                session = _ospf(vrf, _mapping(told), dead)
                odd += [] if session else [f"the dead interval of OSPF neighbour {router} cannot be read"]
                found += [session] if session else []
    return Sessions(tuple(found), (*said, *odd))


def _ospf(vrf: str, told: Mapping[str, Any], dead: Mapping[tuple[str, str], int]) -> Session | None:
    interface, address = told.get("ifaceName"), told.get("ifaceAddress")
    if not isinstance(interface, str) or not isinstance(address, str) or (vrf, interface) not in dead:
        return None
    hold, due = dead[vrf, interface], _ns(told.get("routerDeadIntervalTimerDueMsec"), _MS)
    held = str(told.get("nbrState", "")).split("/")[0] not in ("", "Down", "DeleteMe")
    silent = None if due is None else max(0, hold - due)
    return Session(Peer("OSPF", address, interface, vrf), held, hold, silent_ns=silent)


def _documents(text: str) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """The JSON objects that stand one after the other in what vtysh printed."""
    found: list[Mapping[str, Any]] = []
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    while at < len(text):
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found, (f"vtysh said what is no JSON: {text[at : at + 60]!r}",)
        if isinstance(document, Mapping):
            found.append(document)
        while at < len(text) and text[at].isspace():
            at += 1
    return found, () if found else ("vtysh said nothing that holds a session",)


def _vrfs(documents: list[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for document in documents:
        for vrf, content in document.items():
            if isinstance(content, Mapping):
                yield vrf, content


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _ns(value: object, unit: int) -> int | None:
    """A whole number of a unit as ns; None where it is none, negative, or longer than a day."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value * unit if 0 <= value * unit <= DAY else None
