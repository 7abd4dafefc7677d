"""Which files and sockets a running program was given, from its argument vector. Pure; it reads no process.

Source: haproxy(1), keepalived(8), bird(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

KEEPALIVED_FILE = "/etc/keepalived/keepalived.conf"
# By letter: options that take a value, which is the rest of their word or the next one, and options that take none.
_KEEPALIVED_TAKES = "fSgprcbsiAu"
_KEEPALIVED_FLAGS = "PCBlDGXVIRnTdaexmvh"


def haproxy_files(argv: Sequence[str]) -> tuple[str, ...]:
    """Files and directories, in the order in which HAProxy reads them; they are relative to `haproxy_directory`."""
    found, words = [], iter(argv[1:])
    for word in words:
        if word == "--":
            found += list(words)
        elif word == "-f":
            found += [path for path in (next(words, ""),) if path]
    return tuple(found)


def haproxy_directory(argv: Sequence[str]) -> str:
    """Where `-C` has HAProxy go before it reads its files; empty where it stays."""
    words = list(argv)
    return words[words.index("-C") + 1] if "-C" in words[:-1] else ""


def keepalived_file(argv: Sequence[str]) -> str:
    """The configuration file, keepalived's own default where none is given."""
    return _option(argv, "f", "--use-file") or KEEPALIVED_FILE


def keepalived_instance(argv: Sequence[str]) -> str:
    """What `-i` names, empty where it is not given."""
    return _option(argv, "i", "--config-id")


def bird_socket(argv: Sequence[str]) -> str:
    """The control socket that `-s` names; empty where it is BIRD's own default."""
    return _option(argv, "s", "", flags="dfhlpR", takes="cDgPsu")


def _option(
    argv: Sequence[str], letter: str, long: str, *, flags: str = _KEEPALIVED_FLAGS, takes: str = _KEEPALIVED_TAKES
) -> str:
    """The last value of an option as getopt_long(3) reads it: `-f X`, `-fX`, `-nlf X`, `--long X`, `--long=X`."""
    found, words = "", iter(argv[1:])
    for word in words:
        if word == "--":
            break
        if long and word == long:
            found = next(words, "")
        elif long and word.startswith(f"{long}="):
            found = word.partition("=")[2]
        elif word.startswith("-") and not word.startswith("--"):
            for option, rest in _letters(word[1:], flags, takes):
                value = rest or next(words, "")
                found = value if option == letter else found
    return found


def _letters(word: str, flags: str, takes: str) -> Iterator[tuple[str, str]]:
    """The option of a word that takes a value, with what of it stands in the word."""
    for at, letter in enumerate(word):
        if letter in takes:
            yield letter, word[at + 1 :]
            return
        if letter not in flags:
            return
