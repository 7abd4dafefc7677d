"""How long keepalived takes to notice a fault, from its configuration: VRRP, check scripts, checks of real servers. Pure.

Source: keepalived.conf(5), RFC 3768 and RFC 5798 (Master_Down_Interval). Files that are included are named, not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scenarios.timers.model import SECOND, Found, Timer, in_seconds, seconds_ns

_WORD = re.compile(r'"[^"]*"|[{}]|[^\s{}"]+')
_DEFINITION = re.compile(r"\$([A-Za-z_]\w*)=(.*)")
_USE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_INCLUDE = re.compile(r"include[rmwba]?")
_CHECKER = re.compile(r"[A-Z]+_(?:GET|CHECK)")
_RETRY_AFTER_NS = {"HTTP_GET": 3 * SECOND, "SSL_GET": 3 * SECOND}  # else 1 s
_RETRIES = {"DNS_CHECK": 3, "MISC_CHECK": 0}  # else 1
_DEEP = 20  # no configuration has blocks within blocks as deep


@dataclass
class _Block:
    """A statement of the configuration: its words, and what stands in braces behind it."""

    words: list[str]
    inner: list[_Block] = field(default_factory=list)

    def all(self, *keywords: str) -> Iterator[_Block]:
        return (block for block in self.inner if block.words[0] in keywords)

    def first(self, keyword: str) -> str:
        """First word behind the keyword, of its last statement as that one wins; empty where there is none."""
        found = [block.words[1] for block in self.all(keyword) if len(block.words) > 1]
        return found[-1] if found else ""


@dataclass
class _Reader:
    """Reads times and numbers, and keeps a sentence for each that is none."""

    said: list[str] = field(default_factory=list)

    def time(self, block: _Block, keyword: str, default_ns: int) -> int:
        text = block.first(keyword)
        ns = seconds_ns(text) if text else default_ns
        if ns is None:
            self.said.append(f"keepalived's {keyword} {text!r} in {' '.join(block.words)} is no time in seconds")
        return default_ns if ns is None else ns

    def number(self, block: _Block, keyword: str, default: int) -> int:
        text = block.first(keyword)
        if text and not re.fullmatch(r"[0-9]{1,6}", text):
            self.said.append(f"keepalived's {keyword} {text!r} in {' '.join(block.words)} is no number")
            return default
        return int(text) if text else default


def timers(node: str, text: str, instance: str = "") -> Found:
    """The timers of this configuration at `node`; `instance` is what `-i` names, for lines that begin with `@`."""
    top, said = _tree(_lines(text, instance))
    reader = _Reader(said)
    found, down = [], dict[str, int]()
    shared = next(top.all("global_defs"), _Block([""]))
    for block in top.all("vrrp_instance"):
        name = block.words[1] if len(block.words) > 1 else "without a name"
        length, phrase = _master_down(block, shared, reader)
        found.append(Timer(node, f"master down interval of VRRP instance {name} ({phrase})", length, "keepalived"))
        for script in _tracked(block, top, name):
            down[script] = max(length, down.get(script, 0))
    for block in top.all("vrrp_script"):
        name = block.words[1] if len(block.words) > 1 else ""
        if name in down:
            found.append(_script(node, block, name, down[name], reader))
    for virtual in top.all("virtual_server"):
        found += _checks(node, virtual, reader)
    if not top.inner:
        reader.said.append("keepalived's configuration holds nothing that can be read")
    return Found(tuple(found), tuple(reader.said))


def _master_down(block: _Block, shared: _Block, reader: _Reader) -> tuple[int, str]:
    """3 × advert interval + skew, which is shorter the higher the priority; and that in words."""
    advert = reader.time(block, "advert_int", SECOND)
    adverts = reader.number(block, "down_timer_adverts", reader.number(shared, "vrrp_down_timer_adverts", 3))
    below = max(0, 256 - reader.number(block, "priority", 100))
    version = reader.number(block, "version", reader.number(shared, "vrrp_version", 2))
    skew = below * (advert if version == 3 else SECOND) // 256
    return adverts * advert + skew, f"{adverts} × {in_seconds(advert)} and a skew of {in_seconds(skew)}"


def _tracked(block: _Block, top: _Block, name: str) -> set[str]:
    """Names of the scripts that can bring the instance down, its own and those of its group."""
    holders = [block]
    for group in top.all("vrrp_sync_group"):
        if any(member.words[0] == name for listed in group.all("group") for member in listed.inner):
            holders.append(group)
    return {line.words[0] for holder in holders for tracked in holder.all("track_script") for line in tracked.inner}


def _script(node: str, block: _Block, name: str, down_ns: int, reader: _Reader) -> Timer:
    """Until the script has failed `fall` times and another node has taken over."""
    interval, fall = reader.time(block, "interval", SECOND), reader.number(block, "fall", 1)
    timeout = reader.time(block, "timeout", interval)
    length = interval + max(0, fall - 1) * max(interval, timeout) + timeout + down_ns
    what = f"check script {name} and the takeover after it ({fall} × {in_seconds(interval)})"
    return Timer(node, what, length, "keepalived")


def _checks(node: str, virtual: _Block, reader: _Reader) -> Iterator[Timer]:
    """A timer per checker of each real server; what a checker does not say, its real server or virtual server does."""
    for real in virtual.all("real_server"):
        address = " ".join(real.words[1:3])
        for checker in (b for b in real.inner if _CHECKER.fullmatch(b.words[0])):
            kind = checker.words[0]

            def time(key: str, default: int, within: Sequence[_Block] = (checker, real, virtual)) -> int:
                holder = next((b for b in within if b.first(key)), within[0])
                return reader.time(holder, key, default)

            counting = next((b for b in (checker, real, virtual) if b.first("retry")), checker)
            retries = reader.number(counting, "retry", _RETRIES.get(kind, 1))
            loop = time("delay_loop", 60 * SECOND)
            answer = time("misc_timeout", loop) if kind == "MISC_CHECK" else time("connect_timeout", 5 * SECOND)
            again = time("delay_before_retry", loop if kind == "DNS_CHECK" else _RETRY_AFTER_NS.get(kind, SECOND))
            length = loop + answer + retries * (again + answer)
            yield Timer(node, f"{kind} of real server {address} (every {in_seconds(loop)})", length, "keepalived")


def _lines(text: str, instance: str) -> Iterator[list[str]]:
    """The words of each line that counts for this instance, definitions put in."""
    known: dict[str, str] = {}
    for raw in text.splitlines():
        line = _uncommented(raw).strip()
        if line.startswith("@"):
            named, _, line = line[1:].partition(" ")
            if (named.lstrip("^") == instance) == named.startswith("^"):
                continue
        definition = _DEFINITION.fullmatch(line.strip())
        if definition:
            known[definition[1]] = definition[2].strip().strip('"')
            continue
        line = _USE.sub(lambda use: known.get(use[1] or use[2], use[0]), line)
        yield _WORD.findall(line)


def _uncommented(line: str) -> str:
    """The line without what follows a # or ! that is not in quotes."""
    quoted = False
    for at, sign in enumerate(line):
        quoted ^= sign == '"'
        if sign in "#!" and not quoted:
            return line[:at]
    return line


def _tree(lines: Iterator[list[str]]) -> tuple[_Block, list[str]]:
    """The statements with what stands in braces behind each, and what was odd. A line is a statement, and so is what stands on it
    between two braces."""
    top, said = _Block([""]), list[str]()
    open_blocks, last = [top], top
    for words in lines:
        statement: list[str] = []
        for word in [*words, ""]:
            if word not in ("{", "}", ""):
                statement.append(word)
                continue
            if statement and _INCLUDE.fullmatch(statement[0]):
                said.append(f"keepalived includes {' '.join(statement[1:])}, which was not read")
                statement = []
            if statement:
                last = _Block(statement)
                open_blocks[-1].inner.append(last)
                statement = []
            if word == "{":
                if len(open_blocks) > _DEEP:
                    return _Block([""]), [*said, f"keepalived's blocks are more than {_DEEP} deep"]
                open_blocks.append(last)
            elif word == "}":
                last = open_blocks[-1]
                if len(open_blocks) > 1:
                    open_blocks.pop()
                else:
                    said.append("keepalived's configuration closes a block that it did not open")
    if len(open_blocks) > 1:
        said.append(f"keepalived's configuration does not close {' '.join(open_blocks[-1].words)}")
    return top, said
