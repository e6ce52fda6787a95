"""The engines that tests run against: the plain ones started together at first use, each secured one at its own;
shared by the run's processes (pytest-xdist), and all stopped when the run ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import support.runs.patience  # noqa: F401 - so that httpx waits in every test
from filelock import FileLock

from connector.settings.sections import ClusterSettings

SERVERS = Path(__file__).parents[2] / "servers"
sys.path.insert(0, str(SERVERS))
import engines  # noqa: E402

FOLDER = (
    "TEST_ENGINES_FOLDER"  # the variable with the folder in which the run's processes leave word of what they started
)

# ends what the folder has word of when the pipe closes: at the end of the run, and also when pytest is killed
GUARD = """
import json, pathlib, shutil, signal, sys
import engines
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
for file in folder.glob("*.json"):
    engines.stop(json.loads(file.read_text()))
shutil.rmtree(folder)
"""


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """An engine and its version; `variable` is the environment variable whose URL replaces it. `options` are those of
    its start.

    A secured one that is replaced also takes the variables that end in USERNAME, PASSWORD and CA_CERT instead of
    URL."""

    kind: str
    version: str
    variable: str
    options: Mapping[str, Any] = field(default_factory=dict)


# the second compiler and the parallel collector make a server fast that runs for hours; in one that tests use for
# minutes they take more than they give. So do collections to make room for classes and code, and the wait of the first
# compiler until a method was called hundreds of times.
_SHORT_LIVED = (
    "-XX:TieredStopAtLevel=1 -XX:CompileThresholdScaling=0.2 -XX:-UseG1GC -XX:+UseSerialGC -XX:-AlwaysPreTouch "
    "-XX:MetaspaceSize=256m -XX:ReservedCodeCacheSize=128m"
)
# to check the classes of a release once more is a fifth of a start. It saves OpenSearch nothing.
_UNCHECKED = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
SHORT_LIVED = {"elasticsearch": f"{_SHORT_LIVED} {_UNCHECKED}", "opensearch": _SHORT_LIVED}
ENGINES = {
    "es8": EngineVersion("elasticsearch", "8.19.8", "TEST_ELASTICSEARCH_8_URL"),
    "es9": EngineVersion("elasticsearch", "9.3.2", "TEST_ELASTICSEARCH_9_URL"),
    # with ML Commons, allowed to call a model server on this machine
    "os2": EngineVersion("opensearch", "2.19.1", "TEST_OPENSEARCH_2_URL", {"ml": True}),
    "os3": EngineVersion("opensearch", "3.6.0", "TEST_OPENSEARCH_3_URL", {"ml": True}),
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


ALL = ENGINES | SECURED


# what tells an index whose searches stay behind its documents from others: see the states of models in ML Commons
EVIDENCE = (
    "/_cat/shards?v",
    "/_cat/segments?v",
    "/_stats/refresh,search,indexing,flush,segments",
    "/_all/_settings?flat_settings=true",
    "/.plugins-ml-*/_search?version=true&seq_no_primary_term=true&size=100",
    "/_tasks?detailed=true",
)


class EngineMissing(Exception):
    """An engine that could not be started, and why."""


@contextlib.contextmanager
def shared_engines() -> Iterator[None]:
    """Within the block, of the run's first process, RunningEngines of all its processes start each engine once."""
    folder = tempfile.mkdtemp(prefix="test-engines-")
    os.environ[FOLDER] = folder
    guard = subprocess.Popen(
        [sys.executable, "-c", GUARD, folder], stdin=subprocess.PIPE, text=True, cwd=SERVERS, start_new_session=True
    )
    try:
        yield
    finally:
        guard.communicate(timeout=240)


def keep_evidence(folder: Path) -> list[Path]:
    """Copies of the logs of the engines that the folder has word of, and of what their indices look like now.

    For a run with failures: its engines and their logs go when it ends."""
    kept: list[Path] = []
    for file in sorted(folder.glob("*.json")):
        server = json.loads(file.read_text())
        target = Path(tempfile.mkdtemp(prefix=f"evidence-{file.stem}-"))
        with contextlib.suppress(OSError):
            shutil.copy(server["log"], target / "stdout.log")
        (target / "indices.txt").write_text("\n\n".join(_ask_all(server)), encoding="utf-8")
        kept.append(target)
    return kept


def _ask_all(server: Mapping[str, Any]) -> Iterator[str]:
    """What the engine says to each of EVIDENCE, or why it says nothing."""
    login = (server["user"], server["password"]) if "user" in server else None
    with httpx.Client(base_url=server["url"], auth=login, verify=False, timeout=10) as client:
        for path in EVIDENCE:
            try:
                yield f"GET {path}\n{client.get(path).text}"
            except httpx.HTTPError as error:
                yield f"GET {path}\n{error!r}"


class RunningEngines:
    """The four plain engines by name, of which asking for one starts all that the environment does not name; and the
    secured ones."""

    def __init__(self) -> None:
        self._folder = Path(os.environ[FOLDER])
        self._secured: dict[str, ClusterSettings] = {}

    def url(self, name: str) -> str:
        """Where an engine listens. Raises EngineMissing."""
        given = os.environ.get(ENGINES[name].variable)
        if given:
            return given.rstrip("/")
        return str(self._result(name, self._plain[name])["url"])

    def secured(self, name: str) -> ClusterSettings:
        """Where a secured engine listens, with the credentials of a superuser. Raises EngineMissing."""
        if name not in self._secured:
            self._secured[name] = self._find_secured(name)
        return self._secured[name]

    def _find_secured(self, name: str) -> ClusterSettings:
        engine = SECURED[name]
        if os.environ.get(engine.variable):
            given = {
                part: os.environ.get(f"{engine.variable.removesuffix('URL')}{part.upper()}")
                for part in ("url", "username", "password", "ca_cert")
            }
            return ClusterSettings.model_validate(given)
        server = self._start_alone(name)
        return ClusterSettings(
            url=server["url"], username=server["user"], password=server["password"], ca_cert=server["ca"]
        )

    def _start_alone(self, name: str) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as pool:
            return self._result(name, pool.submit(self._start, name))

    @cached_property
    def _plain(self) -> dict[str, Future[dict[str, Any]]]:
        wanted = [name for name, engine in ENGINES.items() if not os.environ.get(engine.variable)]
        with ThreadPoolExecutor(len(ENGINES)) as pool:
            return {name: pool.submit(self._start, name) for name in wanted}

    def _start(self, name: str) -> dict[str, Any]:
        """The server, started by whichever of the run's processes comes first."""
        engine, file = ALL[name], self._folder / f"{name}.json"
        with FileLock(self._folder / f"{name}.lock"):
            if not file.exists():
                how: dict[str, Any] = {"java_options": SHORT_LIVED[engine.kind], "in_memory": True, "wait_s": 240}
                server = engines.start(engine.kind, engine.version, **how, **engine.options)
                file.write_text(json.dumps(server))
                return server
            known: dict[str, Any] = json.loads(file.read_text())
        return known

    def _result(self, name: str, starting: Future[dict[str, Any]]) -> dict[str, Any]:
        try:
            return starting.result()
        except (SystemExit, OSError, subprocess.SubprocessError) as error:
            engine = ALL[name]
            how = " secured" if name in SECURED else ""
            raise EngineMissing(f"{engine.kind} {engine.version} cannot be started{how}: {error}") from error
