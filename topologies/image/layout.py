"""What an OCI image layout on disk holds: names, digests and each image's own configuration. Pure reading; it unpacks nothing.

Source: OCI image-spec 1.1, image-layout.md, manifest.md and config.md.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from topologies.image.store import ImageConfig

NAME = "org.opencontainers.image.ref.name"


class _Descriptor(msgspec.Struct, frozen=True):
    digest: str
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, frozen=True):
    manifests: tuple[_Descriptor, ...] = ()


class _Manifest(msgspec.Struct, frozen=True):
    config: _Descriptor


class _Settings(msgspec.Struct, frozen=True, rename="pascal"):
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    user: str | None = None
    working_dir: str | None = None


class _Image(msgspec.Struct, frozen=True):
    architecture: str = ""
    config: _Settings | None = None


class InLayout(msgspec.Struct, frozen=True):
    """One image of a layout. `name` is empty where it has none."""

    name: str
    digest: str


def images_in(layout: Path) -> list[InLayout]:
    """Raises OSError, msgspec.MsgspecError where there is no layout or none that can be read."""
    index = msgspec.json.decode((layout / "index.json").read_bytes(), type=_Index)
    return [InLayout(m.annotations.get(NAME, ""), m.digest) for m in index.manifests]


def config_in(layout: Path, digest: str) -> tuple[ImageConfig, str]:
    """What the image says of its process, and its architecture as Go calls it. Raises like `images_in`."""
    manifest = msgspec.json.decode(_blob(layout, digest), type=_Manifest)
    image = msgspec.json.decode(_blob(layout, manifest.config.digest), type=_Image)
    said = image.config or _Settings()
    config = ImageConfig(
        said.entrypoint or (), said.cmd or (), said.env or (), said.user or "", said.working_dir or "/"
    )
    return config, image.architecture


def _blob(layout: Path, digest: str) -> bytes:
    algorithm, _, value = digest.partition(":")
    return (layout / "blobs" / algorithm / value).read_bytes()
