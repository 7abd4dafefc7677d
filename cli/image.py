"""`nospof image`: the root file systems that nodes run from, ours and those of others."""

from __future__ import annotations

import click
from rich.table import Table

from cli.outcome import BadUsage, console, print_json, stamp
from topologies.image import store
from topologies.image.importing import import_image
from topologies.image.recipe import layers
from topologies.image.store import Imported
from topologies.model import IMAGES

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on the output.")


@click.group("image")
def command() -> None:
    """Images of nodes: build nospof's own, import others, list and remove them."""


@command.command("build")
@json_option
def build(as_json: bool) -> int:
    """Build nospof's own images, where the cache has none (about 30 s)."""
    say = stamp()
    built = {name: [str(path) for path in layers(name, say)] for name in sorted(IMAGES)}
    if as_json:
        print_json({"images": built})
    else:
        console.print(f"{' and '.join(built)} are there")
    return 0


@command.command("import")
@click.argument("source")
@click.option("--name", metavar="NAME:TAG", help="What topologies call it; default: what the image itself says.")
@json_option
def import_(source: str, name: str | None, as_json: bool) -> int:
    """Bring in an image, so that `image: NAME:TAG` of a topology means it.

    SOURCE is an archive that `docker save` wrote or an OCI one, a directory (an OCI layout, or a root file system as it stands), an
    archive of a root file system (`docker export`), or docker:NAME for an image that the local Docker has. Its entrypoint, command,
    environment, user and working directory come along.
    """
    found = import_image(source, name, stamp())
    if as_json:
        print_json({"images": [_as_json(one) for one in found]})
    for one in found if not as_json else ():
        console.print(f"{one.name}: {one.size // 2**20} MiB, from {one.source}", markup=False, soft_wrap=True)
    return 0


@command.command("list")
@json_option
def list_(as_json: bool) -> int:
    """Every image that a topology can name."""
    found = store.imported()
    if as_json:
        print_json(
            {"images": [*({"name": name, "source": "nospof"} for name in sorted(IMAGES)), *map(_as_json, found)]}
        )
        return 0
    table = Table("image", "MiB", "from", "runs")
    for name in sorted(IMAGES):
        table.add_row(name, "", "nospof", "")
    for one in found:
        runs = " ".join([*one.config.entrypoint, *one.config.cmd])
        table.add_row(one.name, str(one.size // 2**20), one.source, runs)
    console.print(table)
    return 0


@command.command("remove")
@click.argument("name")
def remove(name: str) -> int:
    """Forget an imported image; its files go when no other name and no lab has them."""
    if not store.remove(name):
        known = ", ".join(one.name for one in store.imported()) or "none"
        raise BadUsage(f"no imported image {name!r}; there are: {known}")
    console.print(f"{store.canonical(name)} is gone", markup=False)
    return 0


def _as_json(one: Imported) -> dict[str, object]:
    config = one.config
    return {
        "name": one.name,
        "source": one.source,
        "size": one.size,
        "root": str(one.root),
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.cmd),
        "env": list(config.env),
        "user": config.user,
        "directory": config.directory,
    }
