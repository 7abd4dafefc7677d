"""`nospof manifest`: a topology as Kubernetes objects, for labs that are larger than one machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.lab import REFERENCE, topology_at
from topologies.clabernetes.manifest import manifest, rendered


@click.command("manifest")
@click.argument("topology", type=click.Path(path_type=Path), default=REFERENCE, required=False)
@click.option("--namespace", default="", help="The objects' namespace; default: that of whoever applies them.")
def command(topology: Path, namespace: str) -> int:
    """Print TOPOLOGY (default: the reference) as objects for clabernetes: `nospof manifest my.clab.yml | kubectl apply -f -`.

    Files that nodes bind become ConfigMaps; labels stay what they are. Where the images have to be, docs/clabernetes.md says.
    """
    found = topology_at(topology)
    sys.stdout.write(rendered(manifest(found, topology.read_text(encoding="utf-8"), namespace)))
    return 0
