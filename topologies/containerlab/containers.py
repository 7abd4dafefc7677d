"""Containers of a lab, through Docker's API: which there are, their processes, starting them. It knows no links."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from topologies.runtime import RuntimeFailure, RuntimeMissing

LAB_LABEL, NODE_LABEL = "containerlab", "clab-node-name"
TIMEOUT_S = 60
ENDED_S = 10


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """Docker's API. Raises RuntimeMissing when nobody answers, RuntimeFailure when it refuses."""
    try:
        client = docker.from_env(timeout=TIMEOUT_S)
        client.ping()
    except DockerException as error:
        raise RuntimeMissing(f"Docker does not answer ({_said(error)}); is its daemon running?") from error
    try:
        yield client
    except DockerException as error:
        raise RuntimeFailure(f"Docker: {_said(error)}") from error
    finally:
        client.close()


def _said(error: DockerException) -> str:
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split())[:300]


def of_lab(client: docker.DockerClient, lab: str) -> dict[str, Container]:
    """Node → container, dead ones too."""
    found = client.containers.list(all=True, filters={"label": f"{LAB_LABEL}={lab}"}, ignore_removed=True)
    return {container.labels[NODE_LABEL]: container for container in found if NODE_LABEL in container.labels}


@dataclass(frozen=True, slots=True)
class Running:
    """A container's first process, and what its image and its file say of its environment."""

    pid: int
    environment: tuple[str, ...]


def running(node: str, container: Container) -> Running:
    """Raises RuntimeFailure when it does not run, with its last words."""
    container.reload()
    pid = int(container.attrs["State"]["Pid"])
    if not pid:
        state = container.attrs["State"]
        words = container.logs(tail=3).decode(errors="replace").strip().replace("\n", " / ")
        raise RuntimeFailure(f"node {node} ended with {state['ExitCode']}: {words or 'it said nothing'}")
    return Running(pid, tuple(container.attrs["Config"].get("Env") or ()))


def addresses(container: Container) -> dict[int, str]:
    """IP version → its address in the management network with its prefix length."""
    found: dict[int, str] = {}
    for network in container.attrs["NetworkSettings"]["Networks"].values():
        if network.get("IPAddress"):
            found[4] = f"{network['IPAddress']}/{network['IPPrefixLen']}"
        if network.get("GlobalIPv6Address"):
            found[6] = f"{network['GlobalIPv6Address']}/{network['GlobalIPv6PrefixLen']}"
    return found


def policy(container: Container) -> str:
    """Its restart policy."""
    return str(container.attrs["HostConfig"]["RestartPolicy"]["Name"] or "no")


def set_policy(container: Container, name: str) -> None:
    """Whether Docker starts it again by itself."""
    container.update(restart_policy={"Name": name})


def start(node: str, container: Container) -> Running:
    """A dead container, anew. Raises RuntimeFailure when it does not run afterwards."""
    with contextlib.suppress(NotFound):
        container.wait(timeout=ENDED_S)  # Docker may not have noticed its end yet
    container.start()
    return running(node, container)


def remove_all(client: docker.DockerClient, lab: str) -> None:
    """Every container of the lab, by force."""
    for container in of_lab(client, lab).values():
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)


def remove_unused_networks(client: docker.DockerClient) -> None:
    """Management networks that containerlab made and that no container is on, as it does itself at a lab's end."""
    for network in client.networks.list(filters={"label": "containerlab"}):
        with contextlib.suppress(NotFound, APIError):  # somebody came meanwhile
            network.reload()
            if not network.containers:
                network.remove()


def logs(containers: Mapping[str, Container], node: str) -> str:
    """What the node's processes printed."""
    return containers[node].logs().decode(errors="replace") if node in containers else ""
