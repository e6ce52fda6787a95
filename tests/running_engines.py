"""The engines that tests run against: started together at first use, stopped when the run ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

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
    """An engine and its version; `variable` is the environment variable whose URL replaces it."""

    kind: str
    version: str
    variable: str


ENGINES = {
    "es8": EngineVersion("elasticsearch", "8.19.8", "TEST_ELASTICSEARCH_8_URL"),
    "es9": EngineVersion("elasticsearch", "9.3.2", "TEST_ELASTICSEARCH_9_URL"),
    "os2": EngineVersion("opensearch", "2.19.1", "TEST_OPENSEARCH_2_URL"),
    "os3": EngineVersion("opensearch", "3.6.0", "TEST_OPENSEARCH_3_URL"),
}


class EngineMissing(Exception):
    """An engine that could not be started, and why."""


class RunningEngines:
    """The four engines by name. Asking for one starts all that the environment does not name."""

    def __init__(self) -> None:
        self._guard: subprocess.Popen[str] | None = None

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

    @cached_property
    def _started(self) -> dict[str, Future[dict[str, Any]]]:
        wanted = [name for name, one in ENGINES.items() if not os.environ.get(one.variable)]
        self._guard = subprocess.Popen(
            [sys.executable, "-c", GUARD], stdin=subprocess.PIPE, text=True, cwd=SERVERS, start_new_session=True
        )
        with ThreadPoolExecutor(len(ENGINES)) as pool:
            return {name: pool.submit(self._start, ENGINES[name]) for name in wanted}

    def _start(self, one: EngineVersion) -> dict[str, Any]:
        server: dict[str, Any] = engines.start(one.kind, one.version, wait_s=240)
        with contextlib.suppress(BrokenPipeError):
            assert self._guard
            assert self._guard.stdin
            self._guard.stdin.write(json.dumps(server) + "\n")
            self._guard.stdin.flush()
        return server
