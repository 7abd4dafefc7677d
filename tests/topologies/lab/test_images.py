"""A node runs what its image says, as whom and where it says, unless its file says otherwise, whoever runs the node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.probes.conftest import wait_until
from tests.topologies.image.small import SAID, make
from tests.topologies.lab.conftest import Up, both_runtimes
from topologies.image import store
from topologies.image.importing import import_image
from topologies.runtimes import destroy, images_of
from topologies.source import load_topology

pytestmark = [pytest.mark.lab, both_runtimes]
NODES = """\
  defaults: {{kind: linux, network-mode: none, image: '{image}'}}
  nodes:
    a: {{}}
    b: {{user: root, entrypoint: /say all}}
    c: {{cmd: again, env: {{MODE: soft}}}}
"""


def test_a_node_is_what_its_image_says(tmp_path: Path, up: Up, runtime: str) -> None:
    small = make(tmp_path, f"test/small-{os.urandom(4).hex()}:1")
    archive = small.docker_archive(tmp_path / "small.tar")
    if runtime == "containerlab":
        subprocess.run(["docker", "load", "-i", archive], check=True, capture_output=True)
    else:
        import_image(str(archive), None)
    name = f"test-{os.getpid()}-{os.urandom(2).hex()}"
    path = tmp_path / f"{name}.clab.yml"
    path.write_text(f"name: {name}\ntopology:\n{NODES.format(image=small.name)}")
    lab = up(load_topology(path, images_of(runtime)))
    try:
        wait_until(lambda: all(lab.log(node) for node in "abc"), "a word of every node")
        assert lab.log("a").strip() == f"{SAID} hello"
        assert lab.log("b").strip() == f"{SAID.replace('1234', '0')} all"
        assert lab.log("c").strip() == f"{SAID.replace('loud', 'soft')} again"
        # an image need not have a shell, nor anything else, for a command to be run in a node
        assert lab.exec("a", ["/say", "once"]).out == f"{SAID} once\n"
        assert lab.exec("b", ["/say", "once"]).out.startswith("uid=0 gid=0 cwd=/srv")
    finally:
        destroy(name)
        store.remove(small.name)
        if runtime == "containerlab":
            subprocess.run(["docker", "rmi", small.name], check=False, capture_output=True)
