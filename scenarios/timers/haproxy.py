"""How long HAProxy takes to find a server down, from its configuration. Pure.

Source: HAProxy 3.0 configuration manual: `inter`, `fastinter`, `fall`, `timeout check`, and defaults sections. The next check
begins an interval after the end of the one before, so one that gets no answer takes its timeout besides (measured: `inter 1s
fall 2 timeout check 3s` finds a frozen server down after up to 8 s, not 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from scenarios.timers.model import DAY, SECOND, Found, Timer, in_seconds

_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s#"'\\]|["'\\])+|\#""")
_TIME = re.compile(r"([0-9]{1,12})(us|ms|s|m|h|d)?")
_UNITS = {"us": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY}
_SECTIONS = frozenset(
    "backend cache crt-store defaults fcgi-app frontend global http-errors listen log-forward log-profile mailers peers "
    "program resolvers ring traces userlist".split()
)
_CHECKING = ("backend", "listen")


@dataclass(frozen=True, slots=True)
class _Server:
    """What a server line says of its check, after what default-server says. Times in ns."""

    check: bool = False
    inter_ns: int = 2 * SECOND
    fast_ns: int | None = None
    fall: int = 3


@dataclass(frozen=True, slots=True)
class _Proxy:
    """What a section gives its servers, after what its defaults section gives it."""

    server: _Server = _Server()
    connect_ns: int | None = None
    check_ns: int | None = None


@dataclass
class _Reading:
    node: str
    timers: list[Timer] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    named: dict[str, _Proxy] = field(default_factory=dict)
    latest: _Proxy = _Proxy()
    section: str = ""
    name: str = ""
    proxy: _Proxy = _Proxy()
    waiting: list[tuple[str, str, _Server]] = field(default_factory=list)

    def begin(self, words: list[str]) -> None:
        """A section: what it inherits, from the defaults that it names or from the latest."""
        self.end()
        self.section, self.name = words[0], words[1] if len(words) > 1 else ""
        origin = words[words.index("from") + 1] if "from" in words[1:-1] else ""
        inherited = _Proxy() if self.section == "defaults" else self.latest
        self.proxy = self.named.get(origin, inherited) if origin else inherited

    def end(self) -> None:
        """The section ends: only now it is known how long its checks wait."""
        if self.section == "defaults":
            self.latest = self.proxy
            self.named[self.name] = self.proxy
        for server, address, rules in self.waiting:
            self.timers.append(_timer(self.node, f"{self.name}/{server}", address, rules, self.proxy))
        self.waiting = []

    def line(self, words: list[str]) -> None:
        keyword = words[0]
        if keyword in _SECTIONS:
            self.begin(words)
        elif keyword == "default-server":
            self.proxy = replace(self.proxy, server=self._rules(self.proxy.server, words[1:]))
        elif keyword == "timeout" and len(words) > 2 and words[1] in ("connect", "check"):
            ns = self._time(words[2], f"timeout {words[1]}")
            if ns is not None:
                connect = words[1] == "connect"
                self.proxy = replace(self.proxy, connect_ns=ns) if connect else replace(self.proxy, check_ns=ns)
        elif keyword in ("server", "server-template") and self.section in _CHECKING:
            # A template has the number of its servers between its prefix and their address.
            skip = 3 if keyword == "server" else 4
            rules = self._rules(self.proxy.server, words[skip:])
            if len(words) >= skip and rules.check:
                self.waiting.append((words[1], words[skip - 1], rules))

    def _rules(self, rules: _Server, words: list[str]) -> _Server:
        for at, word in enumerate(words):
            value = words[at + 1] if at + 1 < len(words) else ""
            if word in ("check", "no-check"):
                rules = replace(rules, check=word == "check")
            elif word in ("inter", "fastinter"):
                ns = self._time(value, word)
                if ns:
                    rules = replace(rules, inter_ns=ns) if word == "inter" else replace(rules, fast_ns=ns)
            elif word == "fall":
                if re.fullmatch(r"[1-9][0-9]{0,4}", value):
                    rules = replace(rules, fall=int(value))
                else:
                    self.said.append(f"HAProxy's fall {value!r} in {self.section} {self.name} is no number")
        return rules

    def _time(self, text: str, keyword: str) -> int | None:
        match = _TIME.fullmatch(text)
        ns = int(match[1]) * _UNITS[match[2] or "ms"] if match else None
        if ns is None or ns > DAY:
            self.said.append(f"HAProxy's {keyword} {text!r} in {self.section} {self.name} is no time")
            return None
        return ns


def timers(node: str, text: str) -> Found:
    """A timer for each server that is checked. `text`: its files, one after the other as HAProxy reads them."""
    reading = _Reading(node)
    for line in text.splitlines():
        words = _words(line)
        if words:
            reading.line(words)
    reading.end()
    if not reading.section:
        reading.said.append("HAProxy's configuration holds no section that can be read")
    return Found(tuple(reading.timers), tuple(reading.said))


def _words(line: str) -> list[str]:
    """The words of a line up to its comment, without their quotes."""
    words: list[str] = []
    for word in _WORD.findall(line):
        if word == "#":
            break
        words.append(re.sub(r"""["'\\]""", "", word))
    return [word for word in words if word]


def _timer(node: str, server: str, address: str, rules: _Server, proxy: _Proxy) -> Timer:
    """From just after a check that passed to the last of `fall` that fail, each waited for as long as HAProxy waits."""
    fast = rules.inter_ns if rules.fast_ns is None else rules.fast_ns
    waits = rules.inter_ns
    if proxy.check_ns is not None:
        connect = rules.inter_ns if proxy.connect_ns is None else min(proxy.connect_ns, rules.inter_ns)
        waits = connect + proxy.check_ns
    length = rules.inter_ns + waits + (rules.fall - 1) * (fast + waits)
    what = f"health check of {server} ({address}): {rules.fall} failures, {in_seconds(fast)} apart"
    return Timer(node, what, length, "HAProxy")
