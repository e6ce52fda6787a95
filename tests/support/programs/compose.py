"""docker/compose.yaml as a project that runs: its services up, asked, and taken down."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from support.programs.containers import CommandFailed, Containers, run

FILE = Path(__file__).parents[3] / "docker" / "compose.yaml"
BETWEEN_LOOKS_S = 2


class Compose:
    """A project of its own name, on free ports, with an image that is here already."""

    def __init__(self, containers: Containers, project: str, profile: str, image: str) -> None:
        self._containers = containers
        self._project = project
        self._command = [*containers.compose, "--file", str(FILE), "--project-name", project, "--profile", profile]
        ports = {name: str(_free_port()) for name in ("ENGINE_PORT", "WORKER_PORT")}
        self._environ: Mapping[str, str] = {**containers.environ, **ports, "IMAGE": image}

    def run(self, *arguments: str) -> str:
        """What a command of compose prints. Raises CommandFailed."""
        return run([*self._command, *arguments], environ=self._environ)

    def clear(self) -> None:
        """Take down what there is, also what an earlier call left."""
        self.run("down", "--volumes", "--timeout", "20")

    def job(self, service: str, *words: str) -> str:
        """What a service prints that ends by itself, with its own command or another. Raises CommandFailed."""
        return self.run("run", "--rm", "--no-deps", "-T", service, *words)

    def execute(self, service: str, *command: str) -> str:
        """What a command prints in a container that runs."""
        return self._containers.run("exec", self._container(service), *command)

    def inspect(self, service: str, template: str) -> str:
        return self._containers.run("container", "inspect", "--format", template, self._container(service)).strip()

    def wait_until_healthy(self, service: str, *, within_s: float) -> None:
        """By the service's own health check; podman runs it only where there is systemd, so it is asked to."""
        end = time.monotonic() + within_s
        while not self._is_healthy(service):
            if self.inspect(service, "{{.State.Running}}") != "true" or time.monotonic() > end:
                raise CommandFailed(f"{service} did not become healthy within {within_s:.0f} s")
            time.sleep(BETWEEN_LOOKS_S)

    def _is_healthy(self, service: str) -> bool:
        if self._containers.program == "podman":
            return self._containers.succeeds("healthcheck", "run", self._container(service))
        return self.inspect(service, "{{.State.Health.Status}}") == "healthy"

    def logs(self) -> str:
        """The last words of all containers."""
        done = subprocess.run(
            [*self._command, "logs", "--tail", "40"], env=self._environ, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def _container(self, service: str) -> str:
        label = "label=com.docker.compose.service=" + service
        project = "label=com.docker.compose.project=" + self._project
        names = self._containers.run("ps", "--all", "--quiet", "--filter", label, "--filter", project).split()
        assert len(names) == 1, f"{service} has the containers {names}"
        return names[0]


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
