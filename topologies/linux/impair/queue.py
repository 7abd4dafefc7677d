"""The queue of a sending end, by tc(8), and what this host's kernel has. Thin."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from topologies.impairment import Impairment
from topologies.linux.impair.means import Features, netem, tbf
from topologies.runtime import RuntimeFailure

TUN = Path("/dev/net/tun")
HANDLE = "6e6f:"


def _tc(namespace: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    argv = ["nsenter", f"--net={namespace}", "tc", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def set_queue(namespace: Path, interface: str, words: Sequence[str]) -> None:
    """Has frames leave the interface through this queue, in place of one of ours. Raises RuntimeFailure where there is another's."""
    shown = _tc(namespace, ["qdisc", "show", "dev", interface, "root"]).stdout.split()
    if len(shown) > 2 and shown[1] != "noqueue" and shown[2] != HANDLE:
        raise RuntimeFailure(
            f"{interface} has a queue of its own already ({shown[1]} {shown[2]}); ours would replace it"
        )
    done = _tc(namespace, ["qdisc", "replace", "dev", interface, "root", "handle", HANDLE, *words])
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise RuntimeFailure(f"`tc qdisc replace dev {interface} root {' '.join(words)}`: {said}")


def clear_queue(namespace: Path, interface: str) -> None:
    """Takes our queue away; with it goes what waits in it. None of ours is fine."""
    shown = _tc(namespace, ["qdisc", "show", "dev", interface, "root"]).stdout.split()
    if len(shown) > 2 and shown[2] == HANDLE:
        _tc(namespace, ["qdisc", "del", "dev", interface, "root"])


def _has_queue(words: Sequence[str]) -> bool:
    """Whether the kernel has it, or a module for it: tried on the loopback of a namespace that ends with the command."""
    argv = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *words]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@lru_cache(maxsize=1)
def features() -> Features:
    """What this host has for impairments."""
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
        tun = True
    except OSError:
        tun = False
    return Features(netem=_has_queue(netem(Impairment(loss=0.5))), tbf=_has_queue(tbf(1_000_000)), tun=tun)
