"""The strangers' stacks as they are played here: their image, a copy with a lab name of its own, and what is right for each."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from topologies.image.cache import cached_file, digest
from topologies.image.importing import import_image
from topologies.image.store import find

HERE = Path(__file__).with_name("stacks")
THEIRS = "mystack/deb12:1"
PACKAGES = "keepalived,haproxy,nginx-light,bird2,frr,iproute2,iputils-ping,procps,curl,python3"


@dataclass(frozen=True)
class Case:
    """`run`: the command's words; `exit`: its code; `verdict`: of one scenario at least, or `judged`, each pass or fail; None where
    nothing is said of it. `words`: what the output has to say, `never`: what it must not."""

    case: str
    run: str
    exit: int | None = None
    verdict: str | None = None
    words: Sequence[str] = ()
    never: Sequence[str] = ()
    note: str = ""

    def __str__(self) -> str:
        return f"{self.case}:{self.run.replace(' ', '_')}"


def cases() -> list[Case]:
    """Those of expected.yml, in its order."""
    return [Case(**one) for one in yaml.safe_load((HERE / "expected.yml").read_text())]


def image() -> str:
    """The name of the strangers' image, built once and brought in under a name that no user has."""
    key = digest([PACKAGES])

    def build(path: Path) -> None:
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", path],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    name = f"nospof-test/strangers:{key}"
    if find(name) is None:
        import_image(str(cached_file("strangers", "root.tar", key, build)), name)
    return name


def staged(case: str, directory: Path, lab: str) -> Path:
    """A copy of the stack with everything beside it, on our image, as the lab of that name; its topology file."""
    stacks = directory / "stacks"
    shutil.copytree(HERE, stacks, symlinks=True)
    path = stacks / f"{case}.clab.yml"
    text = path.read_text().replace(THEIRS, image())
    path.write_text(re.sub(r"(?m)^name: .*$", f"name: {lab}", text, count=1))
    return path
