"""An image comes in from every form in which images travel, with what it says of its process; what is none is refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topologies.image.small import Small, make, root_of
from topologies.image import store
from topologies.image.importing import BadImage, import_image
from topologies.image.recipe import ImageError, layers
from topologies.image.store import ImageConfig, canonical
from topologies.runtimes import images_of

CONFIG = ImageConfig(("/say",), ("hello",), ("MODE=loud",), "sayer", "/srv")


@given(st.sampled_from(["a", "a/b", "reg.example:5000/a/b"]), st.sampled_from(["", ":1", ":latest", "@sha256:ab"]))
def test_a_name_is_shortened_as_docker_does_and_only_once(name: str, tag: str) -> None:
    assert canonical(canonical(name + tag)) == canonical(name + tag) == name + (tag or ":latest")
    assert canonical(f"docker.io/library/{name}{tag}") == canonical(name + tag)


@pytest.fixture
def name() -> Iterator[str]:
    called = f"test/small-{os.getpid()}-{os.urandom(3).hex()}:1"
    yield called
    store.remove(called)


@pytest.fixture
def small(tmp_path: Path, name: str) -> Small:
    return make(tmp_path, name)


pytestmark = pytest.mark.lab


def test_what_docker_saved_comes_in_under_its_own_name(small: Small, tmp_path: Path) -> None:
    awkward = small.docker_archive(tmp_path / "saved.tar").rename(tmp_path / "saved:by docker.tar")
    (found,) = import_image(str(awkward), None)
    assert (found.name, found.config) == (small.name, CONFIG)
    assert sorted(p.name for p in found.root.iterdir()) == ["etc", "say", "srv"]
    assert layers(small.name) == (found.root,)
    images = images_of("oci")
    assert images is not None
    assert small.name in images
    assert store.remove(small.name)
    assert not found.root.exists()
    with pytest.raises(ImageError, match=r"cannot be mapped .* `nospof image import`"):
        layers(small.name)


@pytest.mark.parametrize("form", ["archive", "directory"])
def test_an_oci_layout_is_told_its_name(small: Small, tmp_path: Path, form: str) -> None:
    source = str(small.layout if form == "directory" else small.oci_archive(tmp_path / "oci.tar"))
    with pytest.raises(BadImage, match="does not say what it is called: give it a name with --name"):
        import_image(source, None)
    (found,) = import_image(source, small.name)
    assert (found.name, found.config) == (small.name, CONFIG)


@pytest.mark.parametrize("form", ["archive", "directory"])
def test_a_root_file_system_is_an_image_too(tmp_path: Path, name: str, form: str) -> None:
    root = root_of(tmp_path)
    if form == "archive":
        subprocess.run(["tar", "-C", root, "-cf", tmp_path / "root.tar", "."], check=True)
    (found,) = import_image(str(root if form == "directory" else tmp_path / "root.tar"), name)
    assert found.config == ImageConfig()
    assert (found.root / "say").exists()


def test_an_image_that_comes_again_replaces_what_its_name_meant(small: Small, tmp_path: Path) -> None:
    (first,) = import_image(str(small.layout), small.name)
    (again,) = import_image(str(small.layout), small.name)
    assert again.root == first.root
    (other,) = import_image(str(root_of(tmp_path / "other")), small.name)
    assert store.find(small.name) == other != first
    store.remove(small.name)


def test_an_archive_that_is_cut_short_or_something_else_is_refused(small: Small, tmp_path: Path, name: str) -> None:
    whole = small.docker_archive(tmp_path / "whole.tar")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:-200_000])
    with pytest.raises(BadImage, match=r"cut\.tar"):
        import_image(str(cut), name)
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(BadImage, match="no archive that can be read"):
        import_image(str(tmp_path / "text.tar"), name)
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "other.tar", "text.tar"], check=True)
    with pytest.raises(BadImage, match=r"found text\.tar; expected manifest\.json"):
        import_image(str(tmp_path / "other.tar"), name)
    with pytest.raises(BadImage, match="expected an archive, a directory, or docker:NAME"):
        import_image(str(tmp_path / "missing.tar"), name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadImage, match="no root file system and no OCI layout"):
        import_image(str(tmp_path / "empty"), name)
    with pytest.raises(BadImage, match="one of nospof's own images"):
        import_image(str(whole), "nospof/base")
    assert store.find(name) is None


def test_an_image_for_another_machine_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadImage, match="is for s390x, and this machine is"):
        import_image(str(make(tmp_path, name, architecture="s390x").layout), name)


def test_a_full_disk_is_told_and_nothing_is_left(small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a disk of its own, small enough to be full."""
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
    try:
        monkeypatch.setenv("NOSPOF_CACHE", str(full))
        with pytest.raises(ImageError, match=r"free some, or set NOSPOF_CACHE"):
            import_image(str(small.docker_archive(tmp_path / "small.tar")), None)
        assert [p for p in full.rglob("*") if p.is_file()] == []
    finally:
        subprocess.run(["umount", full], check=True)
