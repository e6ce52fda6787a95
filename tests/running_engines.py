"""The engines that tests run against: the plain ones started together at first use, each secured one at its own; all stopped
when the run ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from connector.config import ClusterSettings

SERVERS = Path(__file__).parent / "servers"
sys.path.insert(0, str(SERVERS))
import engines  # noqa: E402

# ends what it was told of when the pipe closes: at the end of the run, and also when pytest is killed
GUARD = """
import json, signal, sys
import engines
signal.signal(signal.SIGINT, signal.SIG_IGN)
servers = [json.loads(line) for line in sys.stdin]
for server in servers:
    engines.stop(server)
"""


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """An engine and its version; `variable` is the environment variable whose URL replaces it. `options` are those of its start.

    A secured one that is replaced also takes the variables that end in USERNAME, PASSWORD and CA_CERT instead of URL."""

    kind: str
    version: str
    variable: str
    options: Mapping[str, Any] = field(default_factory=dict)


ENGINES = {
    "es8": EngineVersion("elasticsearch", "8.19.8", "TEST_ELASTICSEARCH_8_URL"),
    "es9": EngineVersion("elasticsearch", "9.3.2", "TEST_ELASTICSEARCH_9_URL"),
    "os2": EngineVersion("opensearch", "2.19.1", "TEST_OPENSEARCH_2_URL"),
    "os3": EngineVersion("opensearch", "3.6.0", "TEST_OPENSEARCH_3_URL"),
}


SECURED = {
    "secured_es": EngineVersion(
        "elasticsearch", "9.3.2", "TEST_SECURED_ELASTICSEARCH_URL", {"secured": True, "trial": True}
    ),
    "secured_os": EngineVersion(
        "opensearch",
        "2.19.1",
        "TEST_SECURED_OPENSEARCH_URL",
        {"secured": True, "settings": {"plugins.security.unsupported.restapi.allow_securityconfig_modification": True}},
    ),
}


class EngineMissing(Exception):
    """An engine that could not be started, and why."""


class RunningEngines:
    """The four plain engines by name, of which asking for one starts all that the environment does not name; and the secured."""

    def __init__(self) -> None:
        self._guard: subprocess.Popen[str] | None = None
        self._secured: dict[str, ClusterSettings] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait(timeout=60)

    def url(self, name: str) -> str:
        """Where an engine listens. Raises EngineMissing."""
        given = os.environ.get(ENGINES[name].variable)
        if given:
            return given.rstrip("/")
        try:
            server: dict[str, Any] = self._started[name].result()
        except (SystemExit, OSError, subprocess.SubprocessError) as error:
            one = ENGINES[name]
            raise EngineMissing(f"{one.kind} {one.version} cannot be started: {error}") from error
        return str(server["url"])

    def secured(self, name: str) -> ClusterSettings:
        """Where a secured engine listens, with the credentials of a superuser. Raises EngineMissing."""
        if name not in self._secured:
            self._secured[name] = self._find_secured(SECURED[name])
        return self._secured[name]

    def _find_secured(self, one: EngineVersion) -> ClusterSettings:
        if os.environ.get(one.variable):
            given = {
                part: os.environ.get(f"{one.variable.removesuffix('URL')}{part.upper()}")
                for part in ("url", "username", "password", "ca_cert")
            }
            return ClusterSettings.model_validate(given)
        self._watch()
        try:
            server = self._start(one)
        except (SystemExit, OSError, subprocess.SubprocessError) as error:
            raise EngineMissing(f"{one.kind} {one.version} cannot be started secured: {error}") from error
        return ClusterSettings(
            url=server["url"], username=server["user"], password=server["password"], ca_cert=server["ca"]
        )

    def _watch(self) -> None:
        """Start the guard, if there is none."""
        self._guard = self._guard or subprocess.Popen(
            [sys.executable, "-c", GUARD], stdin=subprocess.PIPE, text=True, cwd=SERVERS, start_new_session=True
        )

    @cached_property
    def _started(self) -> dict[str, Future[dict[str, Any]]]:
        wanted = [name for name, one in ENGINES.items() if not os.environ.get(one.variable)]
        self._watch()
        with ThreadPoolExecutor(len(ENGINES)) as pool:
            return {name: pool.submit(self._start, ENGINES[name]) for name in wanted}

    def _start(self, one: EngineVersion) -> dict[str, Any]:
        server: dict[str, Any] = engines.start(one.kind, one.version, wait_s=240, **one.options)
        with contextlib.suppress(BrokenPipeError):
            assert self._guard
            assert self._guard.stdin
            self._guard.stdin.write(json.dumps(server) + "\n")
            self._guard.stdin.flush()
        return server
