"""docker/compose.yaml and docker/Dockerfile as they stand, run as local processes: `Stack.run("search")` is
`docker compose run search`, with the commands, environments, healthchecks and start conditions that are written there.

Replaced are the engines, by servers that run already, and names of places: see `Places`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

DOCKER = Path(__file__).parents[3] / "docker"
SYSTEM_PATH = os.defpath  # what the base image has in PATH


@dataclass(frozen=True, slots=True)
class Image:
    """What the Dockerfile's last stage says of a container."""

    entrypoint: tuple[str, ...]
    environment: dict[str, str]
    workdir: str
    user: str


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A command that exits with 0 where a container is healthy; what fails within `start_period_s` does not count."""

    test: tuple[str, ...]
    interval_s: float
    timeout_s: float
    retries: int
    start_period_s: float


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the compose file. `mounts` maps container paths to folders of this machine, None for a volume."""

    name: str
    image: str
    built: bool
    command: tuple[str, ...]
    environment: dict[str, str]
    mounts: dict[str, Path | None]
    depends_on: dict[str, str]
    healthcheck: Healthcheck | None
    stop_grace_s: float


def read_image() -> Image:
    """The image of docker/Dockerfile."""
    parser = DockerfileParser(str(DOCKER / "Dockerfile"))
    stage: dict[str, str] = {}
    for step in parser.structure:
        stage = {} if step["instruction"] == "FROM" else stage | {step["instruction"]: step["value"]}
    return Image(tuple(json.loads(stage["ENTRYPOINT"])), dict(parser.envs), stage["WORKDIR"], stage["USER"])


def read_services(profile: str, variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """The services of a profile by name; `variables` stand in for what the caller of compose exports."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    tree = _interpolate(yaml.safe_load(text), variables or {})
    active = {
        name: service for name, service in tree["services"].items() if profile in service.get("profiles", [profile])
    }
    return {name: _read_service(name, service, active) for name, service in active.items()}


def _read_service(name: str, service: dict[str, Any], active: Mapping[str, Any]) -> Service:
    depends_on = {}
    for other, terms in service.get("depends_on", {}).items():
        if other in active:
            depends_on[other] = terms["condition"]
        else:
            assert terms.get("required") is False, f"{name} depends on {other}, which the profile leaves out"
    mounts: dict[str, Path | None] = {}
    for volume in service.get("volumes", []):
        source, target = volume.split(":")[:2]
        mounts[target] = (DOCKER / source).resolve() if source.startswith(".") else None
    return Service(
        name=name,
        image=service["image"],
        built="build" in service,
        command=tuple(service.get("command", [])),
        environment=service["environment"],
        mounts=mounts,
        depends_on=depends_on,
        healthcheck=_read_healthcheck(service["healthcheck"]) if "healthcheck" in service else None,
        stop_grace_s=read_duration(service.get("stop_grace_period", "10s")),
    )


def _read_healthcheck(healthcheck: dict[str, Any]) -> Healthcheck:
    test = healthcheck["test"]  # a string is a line for the shell
    return Healthcheck(
        ("/bin/sh", "-c", test) if isinstance(test, str) else tuple(test[1:]),
        read_duration(healthcheck["interval"]),
        read_duration(healthcheck["timeout"]),
        healthcheck["retries"],
        read_duration(healthcheck["start_period"]),
    )


def read_duration(text: str) -> float:
    """Seconds of `90s`, `2m` or `1m30s`."""
    parts = re.findall(r"(\d+)([smh])", text)
    assert "".join(number + unit for number, unit in parts) == text, f"{text!r} is no duration"
    return float(sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts))


def _interpolate(tree: Any, variables: Mapping[str, str]) -> Any:
    """The tree with `${NAME:-default}` and `${NAME-default}` filled in."""
    if isinstance(tree, dict):
        return {name: _interpolate(branch, variables) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [_interpolate(branch, variables) for branch in tree]
    if isinstance(tree, str):
        return re.sub(r"\$\{(\w+):?-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], tree)
    return tree


class Places:
    """Where things are that have another name in a container: `engine:9200`, `/corpus`.

    The only words that are changed in what a container runs; replaced once, longest first, whole words only."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![\w.])(?:{words})(?![\w-])")

    def __call__(self, text: str) -> str:
        return self._pattern.sub(lambda found: self._names[found[0]], text)

    def also(self, names: Mapping[str, str]) -> Places:
        """These names and more."""
        return Places(self._names | names)


@dataclass(frozen=True, slots=True)
class Container:
    """A started service; `workdir` is what it has as its working directory. An engine has no process of ours."""

    service: Service
    process: asyncio.subprocess.Process | None
    environment: dict[str, str]
    places: Places
    folder: Path
    workdir: Path
    started_at: float

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process
        return await self.process.wait()

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


class Stack:
    """The services of a profile; each is started once, when its dependencies are what it asks for.

    `places` names what differs from a container for all of them, `folder` is for what they write.
    `mounts` replaces what is mounted at a container path."""

    def __init__(
        self, services: Mapping[str, Service], places: Places, folder: Path, *, mounts: Mapping[str, Path]
    ) -> None:
        self._services = services
        self._image = read_image()
        self._places = places
        self._folder = folder
        self._mounts = mounts
        self._up: dict[str, asyncio.Task[Container]] = {}
        self.events: list[str] = []

    async def run(self, name: str) -> Container:
        """What `docker compose run NAME` leaves: the service that has ended, and its dependencies as they are."""
        container = await self.up(name)
        await container.wait()
        return container

    async def up(self, name: str) -> Container:
        """The started service."""
        if name not in self._up:
            self._up[name] = asyncio.create_task(self._start(self._services[name]))
        return await asyncio.shield(self._up[name])

    async def down(self) -> dict[str, int]:
        """End what still runs as `docker compose down` does; the exit codes of those that had to be told."""
        codes = {}
        for task in self._up.values():
            task.cancel()  # those that still wait for another start no more
        for container in [
            task.result() for task in self._up.values() if task.done() and not task.cancelled() and not task.exception()
        ]:
            if container.process and container.process.returncode is None:
                container.process.terminate()
                try:
                    codes[container.service.name] = await asyncio.wait_for(
                        container.wait(), container.service.stop_grace_s
                    )
                except TimeoutError:
                    container.process.kill()
                    codes[container.service.name] = await container.wait()
        return codes

    async def _start(self, service: Service) -> Container:
        async with asyncio.TaskGroup() as dependencies:
            for other, condition in service.depends_on.items():
                dependencies.create_task(self._meet(other, condition))
        self.events.append(f"{service.name} starts")
        container = self._prepare(service)
        if not service.built:
            return container
        outputs = [os.open(container.folder / name, os.O_CREAT | os.O_WRONLY) for name in ("stdout", "stderr")]
        try:
            process = await asyncio.create_subprocess_exec(
                *_find(self._image.entrypoint, container.environment),
                *map(container.places, service.command),
                cwd=container.workdir,
                env=container.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=outputs[0],
                stderr=outputs[1],
            )
        finally:
            for output in outputs:
                os.close(output)
        return replace(container, process=process)

    def _prepare(self, service: Service) -> Container:
        """The container before its start: its folders, its names of places, its environment."""
        folder, workdir = self._folder / service.name, self._image.workdir
        folders = {workdir: folder / "workdir"}
        for path in service.mounts:
            folders[path] = self._mounts.get(path, self._folder / f"volume{path.replace('/', '-')}")
        for local in folders.values():
            local.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        places = self._places.also({path: str(local) for path, local in folders.items()})
        inherited = self._image.environment | {"HOME": workdir} if service.built else {"PATH": ""}
        environment = {name: places(value) for name, value in (inherited | service.environment).items()}
        environment["PATH"] += SYSTEM_PATH
        return Container(service, None, environment, places, folder, folders[workdir], time.monotonic())

    async def _meet(self, name: str, condition: str) -> None:
        container = await self.up(name)
        if condition == "service_healthy":
            await self._until_healthy(container)
            self.events.append(f"{name} is healthy")
        elif condition == "service_completed_successfully":
            code = await container.wait()
            assert code == 0, f"{name} exited with {code}: {container.stderr[-2000:]}"
            self.events.append(f"{name} completed")
        else:
            raise AssertionError(f"the condition {condition!r} is not known here")

    async def _until_healthy(self, container: Container) -> None:
        check = container.service.healthcheck
        assert check, f"{container.service.name} has no healthcheck, so it is never healthy"
        failures = 0
        while failures < check.retries:
            assert container.process is None or container.process.returncode is None, container.stderr[-2000:]
            await asyncio.sleep(check.interval_s)
            if await self._is_healthy(container, check):
                return
            failures += time.monotonic() - container.started_at > check.start_period_s
        raise AssertionError(f"{container.service.name} is unhealthy")

    async def _is_healthy(self, container: Container, check: Healthcheck) -> bool:
        command = _find([container.places(word) for word in check.test], container.environment)
        probe = await asyncio.create_subprocess_exec(
            *command, env=container.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            await asyncio.wait_for(probe.communicate(), check.timeout_s)
        except TimeoutError:
            probe.kill()
            await probe.wait()
        return probe.returncode == 0


def _find(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command with its program found in the container's PATH, not in ours."""
    program = shutil.which(command[0], path=environment["PATH"])
    assert program, f"{command[0]} is not in {environment['PATH']}"
    return [program, *command[1:]]
