"""Writes the reference with one thing broken, as a small lab of its own: what a verdict must not let pass. Deploys nothing.

Each is a patch of a line or two; what is patched is bound over the reference's own file in the nodes that it concerns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from topologies.reference.generate import files
from topologies.reference.plan import Network, network

REFERENCE = Path(__file__).resolve().parents[2] / "probes/reference"
REGIONS = ("eu",)


@dataclass(frozen=True)
class Patch:
    """What stands in one file of the reference (below `probes/reference/`) exactly once, and what stands there instead."""

    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """Raises ValueError where the reference is no longer what this was written for."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} stands there {text.count(self.old)} times, wanted once")
        return text.replace(self.old, self.new)


Edit = Callable[[str], str]


@dataclass(frozen=True)
class Broken:
    """One way to be broken. `nodes` get the patched files; `edits`: (node, file of its configuration) → how that changes."""

    what: str
    nodes: Sequence[str] = ()
    patches: Sequence[Patch] = ()
    edits: Mapping[tuple[str, str], Edit] = field(default_factory=dict)


def _without_bfd(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if " bfd profile " not in line)


def _alone(text: str) -> str:
    """An L7 node that passes nothing on to the others of its tier."""
    return json.dumps(json.loads(text) | {"others": []}, indent=1) + "\n"


BOTH_L4, BOTH_L7 = ("eu-l4-1", "eu-l4-2"), ("eu-l7-1", "eu-l7-2")
VARIANTS: Mapping[str, Broken] = {
    "never-withdraws": Broken(
        "An L4 node says that it has withdrawn, and goes on announcing.",
        BOTH_L4,
        (
            Patch("l4/announce.py", "Mode.DRAINING: Announcement.DRAIN", "Mode.DRAINING: Announcement.NORMAL"),
            Patch("l4/announce.py", "Mode.WITHDRAWN: Announcement.NONE", "Mode.WITHDRAWN: Announcement.NORMAL"),
        ),
    ),
    "closes-listeners": Broken(
        "An L7 node's drain closes its listeners, and does nothing else.",
        BOTH_L7,
        (
            Patch(
                "l7/agent.py",
                'await ask("POST", "/healthcheck/fail")\n        self.draining = True',
                'await ask("POST", "/drain_listeners")\n        return Reply(True, "drained")',
            ),
            # Listeners that were closed come back with a new Envoy only; the agent starts it.
            Patch("l7/agent.py", '"/healthcheck/ok"', '"/quitquitquit"'),
        ),
    ),
    "always-well": Broken(
        "L4 nodes find every L7 node well, whatever their checks have found.",
        BOTH_L4,
        (Patch("l4/health.py", "self.health.after(result,", "self.health.after(Result.WELL,"),),
    ),
    "edge-without-bfd": Broken(
        # Its neighbours still ask for BFD, so FRR keeps their sessions down once they have fallen: routes never come back.
        "One of two edges has no BFD: only BGP's hold time, 9 s, notices when it goes silent.",
        edits={("eu-edge-1", "bgpd.conf"): _without_bfd},
    ),
    "other-seeds": Broken(
        "Each L4 node has a lookup table of its own, and no L7 node passes on what is another's.",
        BOTH_L4[:1],
        (Patch("l4/maglev.py", "digest_size=16)", 'digest_size=16, salt=b"another")'),),
        edits={(node, "l7.json"): _alone for node in BOTH_L7},
    ),
    "never-announces-again": Broken(
        "An L4 node says that it takes traffic again, and stays withdrawn.",
        BOTH_L4,
        (
            Patch("l4/agent.py", '"undrain": self._announce', '"undrain": self._withdraw'),
            Patch("l4/agent.py", '"announce": self._announce', '"announce": self._withdraw'),
        ),
    ),
}


def patched(broken: Broken) -> dict[str, str]:
    """File of the reference → its text with every patch applied. Raises ValueError."""
    found: dict[str, str] = {}
    for patch in broken.patches:
        text = found.get(patch.file) or (REFERENCE / patch.file).read_text(encoding="utf-8")
        found[patch.file] = patch.applied(text)
    return found


def small(name: str) -> Network:
    """The reference's network with a single region: eleven nodes."""
    return network(name, regions=REGIONS)


def variant(name: str, directory: Path, lab: str | None = None) -> Path:
    """Writes the variant of that name, or `sound` for none; the topology's path, with the reference's contract beside it.

    `lab`: the lab's name where several run side by side. Raises KeyError, ValueError.
    """
    broken = Broken("The reference, with a single region.") if name == "sound" else VARIANTS[name]
    net = small(lab or name)
    over = {directory / "patched" / file: text for file, text in patched(broken).items()}
    bound = [f"{path}:/opt/reference/{path.relative_to(directory / 'patched')}:ro" for path in over]
    written = files(directory, net, broken.what, dict.fromkeys(broken.nodes, bound))
    for (node, file), edit in broken.edits.items():
        path = directory / "configs" / net.name / node / file
        written[path] = edit(written[path])
    for path, text in (written | over).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory / f"{net.name}.clab.yml"
