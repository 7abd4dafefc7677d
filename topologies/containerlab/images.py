"""Our images in Docker, made from the same directories that the oci runtime stacks."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from topologies.image.cache import digest
from topologies.image.recipe import layers
from topologies.linux import netns
from topologies.model import IMAGES
from topologies.oci.bundle import IDLE, PATH
from topologies.runtime import RuntimeFailure, Say

INIT = ("/usr/bin/tini", "-g", "--")
KEY_LABEL = "nospof.key"
CHUNK = 1 << 20


def provide(client: docker.DockerClient, image: str, say: Say = lambda _: None) -> None:
    """Imports an image of ours where Docker has none, or another one. Raises ImageError, RuntimeFailure."""
    if image not in IMAGES:
        return  # containerlab gets it by itself, or says why not
    stack = layers(image, say)
    key = digest([str(path) for path in stack])
    try:
        if client.images.get(image).labels.get(KEY_LABEL) == key:
            return
    except ImageNotFound:
        pass
    say(f"image: {image} into Docker")
    repository, _, tag = image.partition(":")
    changes = [
        f"ENTRYPOINT {json.dumps(INIT)}",
        f"CMD {json.dumps(IDLE)}",
        f"ENV PATH={PATH}",
        f"LABEL {KEY_LABEL}={key}",
    ]
    _import(client, stack, repository, tag or "latest", changes)


def _import(
    client: docker.DockerClient, stack: tuple[Path, ...], repository: str, tag: str, changes: list[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="nospof-image-") as scratch:
        root = Path(scratch)
        if len(stack) == 1:
            _send(client, stack[0], repository, tag, changes)
            return
        netns.mount("overlay", str(root), "overlay", 1, f"lowerdir={':'.join(map(str, stack))}")  # 1: MS_RDONLY
        try:
            _send(client, root, repository, tag, changes)
        finally:
            netns.unmount(root)


def _send(client: docker.DockerClient, root: Path, repository: str, tag: str, changes: list[str]) -> None:
    command = ["tar", "--numeric-owner", "--xattrs", "-C", str(root), "-c", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        assert tar.stdout
        chunks = iter(lambda: tar.stdout.read(CHUNK), b"")  # type: ignore[union-attr]
        answer = client.api.import_image_from_stream(chunks, repository=repository, tag=tag, changes=changes)
    if tar.returncode != 0 or "error" in str(answer):
        raise RuntimeFailure(f"Docker took no image {repository}:{tag}: {str(answer).strip()[-300:]}")
