"""Real parts for every test: the five stores, the rerank worker, the encoder. Engines start at first use, all at
once."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.indices.scratch import drop, drop_later, drop_left, is_engine, unique_name
from support.indices.secured import Secured
from support.models.remembering import RememberingEncoder
from support.parts import wait_until
from support.programs.command import TORCH, Launcher, launching
from support.runs import forked_runs
from support.runs.engine_pairs import in_pairs
from support.servers.running_engines import (
    ENGINES,
    FOLDER,
    SECURED,
    EngineMissing,
    RunningEngines,
    keep_evidence,
    shared_engines,
)

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster
from connector.models.encoder import Encoder
from connector.readiness import read_state
from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import load_encoder

if TYPE_CHECKING:
    import psycopg

EMBEDDED = "embedded"
MANY_MODULES = 300
# files whose tests run in one process: they share what is dear to make, or change the same thing
GROUPS = {
    "browser": tuple(f"e2e/test_{name}" for name in ("gateway_ui", "judging_page", "report")),
    "postgres": (
        "live/test_killed_following",
        "unit/ingest/sources/test_postgres",
        *(f"unit/ingest/following/test_postgres_{name}" for name in ("replication", "slot", "updates")),
    ),
    "demo": ("e2e/test_corpus", "e2e/test_examples", "e2e/test_nothing_calls_home"),
    "commands with torch": ("bench/test_smoke", "e2e/test_train", "e2e/test_tune"),
    "secured": (
        *(f"live/test_{name}" for name in ("backfill_access", "callers", "doctor_access", "gateway_callers")),
        *(f"live/test_{name}" for name in ("missing_privileges", "refused_connections", "secured_pages", "security")),
    ),
    # models and connectors of an OpenSearch, which one of them counts
    "ML Commons": ("bench/test_peers", *(f"live/native/test_{name}" for name in ("refusals", "search", "states"))),
    # which read all of the code
    "code": (
        "unit/search/test_layout",
        *(f"unit/test_{name}" for name in ("architecture", "extras", "names", "rooms", "wide_excepts")),
    ),
    # whose imports take a second
    "scipy": (
        "unit/cli/commands/judge/test_llm",
        "unit/judging/trust/test_agreement",
        *(f"unit/evaluation/statistics/test_{name}" for name in ("power", "significance")),
    ),
    # whose imports take 10 s
    "torch": (
        "bench/test_rerank_servers",
        "e2e/test_reranker",
        "unit/cli/commands/test_model_export",
        "unit/ingest/test_passages",
        "unit/judging/model/test_real_model",
        *(f"unit/models/test_{name}" for name in ("backends", "cross_encoder", "description", "encoder", "fastest")),
        *(f"unit/models/test_{name}" for name in ("hub_models", "late_interaction", "runtimes", "tokenizer")),
        *(f"unit/models/onnx/test_{name}" for name in ("build", "export", "found", "pieces")),
        "unit/remote/test_encoder",
        *(f"unit/training/test_{name}" for name in ("fine_tune", "train")),
        *(f"unit/worker/test_{name}" for name in ("app", "cache_scope", "metrics", "models")),
        "unit/worker/routes/test_embed",
    ),
}
# files that wait for most of two minutes: begun first, and beside them groups that never do
WAITING = ("tests/live/test_failures.py", "tests/live/test_degradation.py")
BUSY = ("torch", "commands with torch")
GROUP_OF = {f"tests/{file}.py": group for group, files in GROUPS.items() for file in files}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines",
        choices=("each", "pairs"),
        default="each",
        help="the engines of a test of tests/live and tests/e2e: each of the four (as it is without this), or one of "
        "each kind, and the next test the other two",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The run's first process keeps the engines for all those that pytest-xdist starts. Ctrl-C is heard, also in the
    background, where a shell has it ignored and whatever is started there would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path += [path for path in forked_runs.added if path not in sys.path]
    atexit.register(gc.unfreeze)  # a library says at the very end what of it is still held
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        keeping = ExitStack()
        keeping.enter_context(shared_engines())
        config.add_cleanup(keeping.close)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: nothing looks for garbage in it, neither while it comes, nor
    later, when each such look would take half a second of whatever test it falls into. In what tests make themselves
    it is looked for as seldom as in a command (connector/__main__.py): a tenth of the processor went into that."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000)
        Imported.modules = len(sys.modules)


class Imported:
    """How many modules there were when nothing they hold was garbage any more."""

    modules = 0


def pytest_runtest_logfinish() -> None:
    """So does what a test has imported, where that is much: each look through torch takes a fifth of a second, and one
    comes with each training."""
    if len(sys.modules) > Imported.modules + MANY_MODULES:
        gc.collect()
        gc.freeze()
        Imported.modules = len(sys.modules)


def pytest_sessionfinish() -> None:
    drop_left()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where tests failed, what the engines have to say about it is kept, and where it is is said."""
    if hasattr(config, "workerinput") or not any(terminalreporter.stats.get(name) for name in ("failed", "error")):
        return
    for kept in keep_evidence(Path(os.environ[FOLDER])):
        terminalreporter.write_line(f"log of an engine, and its indices at the end: {kept}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests are of one process; so are those of files that share what is dear to make, or what they change."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid)

    return ByFile(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that are no text are named after their argument: gzip's hold the time, and the processes that share the
    tests have to find the same names."""
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """The processes that share the tests are forked from one that has imported all of them. Not where coverage is
    measured, since of them each sees what it imports itself."""
    if sys.platform == "linux" and not config.getoption("cov_source", None):
        python, imported = forked_runs.fork_from(config.invocation_params.args, Path(os.environ[FOLDER]))
        config.add_cleanup(imported.communicate)
        for spec in specs:
            spec.python = python


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Which tests are run is said by `--engines`. Where several processes share them, they are put in order by file
    before anything else orders them. In the end what waits comes first, beside what works meanwhile, and then the other
    groups: they take long, and what is begun last should not keep one process at work while the others have ended."""
    if config.getoption("engines") == "pairs":
        items[:], left = in_pairs(items)
        config.hook.pytest_deselected(items=left)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path)
    yield
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(_group_of(item.nodeid)))


def _rank(group: str) -> int:
    return 0 if group in WAITING else 1 if group in BUSY else 2 if group in GROUPS else 3


def _group_of(nodeid: str) -> str:
    file = nodeid.split("::", 1)[0]
    return GROUP_OF.get(file, file)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Where a command that runs in this process sends its log ends with the test, and so do its levels."""
    loggers = [logging.getLogger(name) for name in (None, "connector")]
    handlers, levels = {*loggers[0].handlers}, [logger.level for logger in loggers]
    yield
    for handler in {*loggers[0].handlers} - handlers:
        if type(handler) is logging.StreamHandler:  # pytest's own, of this part of the test, is of another type
            loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        if logger.level != level:  # to set one empties what each of all loggers has found out
            logger.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _defaults_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The settings of whoever runs the tests stay out of them; and no public authority is trusted. Nothing here calls
    one's servers, and to read them all takes 20 ms of each httpx client, of which the tests make thousands."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("CONNECTOR_")]:
            environment.delenv(name)
        environment.delenv("SSL_CERT_FILE", raising=False)
        environment.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("authorities")))
        yield


@pytest.fixture(scope="session")
def engines() -> RunningEngines:
    """The four engines. A URL in the environment (TEST_OPENSEARCH_3_URL, ...) replaces one."""
    return RunningEngines()


def _settings(request: pytest.FixtureRequest, name: str) -> ClusterSettings:
    running: RunningEngines = request.getfixturevalue("engines")
    try:
        if name in SECURED:
            return running.secured(name)
        return ClusterSettings(url=running.url(name))
    except EngineMissing as error:
        if os.environ.get("TESTS_WITHOUT_ENGINES") == "1" and not os.environ.get("CI"):
            pytest.skip(str(error))
        pytest.fail(f"{error}\n(TESTS_WITHOUT_ENGINES=1 skips the tests that need it)", pytrace=False)


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.live) for name in ENGINES])
def engine(request: pytest.FixtureRequest) -> ClusterSettings:
    """Each of the four engines."""
    return _settings(request, request.param)


@pytest.fixture(scope="session", params=[EMBEDDED, *(pytest.param(name, marks=pytest.mark.live) for name in ENGINES)])
def store(request: pytest.FixtureRequest, embedded: ClusterSettings) -> ClusterSettings:
    """Each of the five stores."""
    return embedded if request.param == EMBEDDED else _settings(request, request.param)


@pytest.fixture(scope="session")
def elasticsearch(request: pytest.FixtureRequest) -> ClusterSettings:
    """The newest Elasticsearch, for what need not be seen on each."""
    return _settings(request, "es9")


@pytest.fixture(scope="session")
def opensearch(request: pytest.FixtureRequest) -> ClusterSettings:
    """The older OpenSearch, for what need not be seen on each."""
    return _settings(request, "os2")


@pytest.fixture(scope="session")
def secured_elasticsearch(request: pytest.FixtureRequest) -> ClusterSettings:
    """The newest Elasticsearch with TLS from a private CA, on a trial licence; the credentials are a superuser's."""
    return _settings(request, "secured_es")


@pytest.fixture(scope="session")
def secured_opensearch(request: pytest.FixtureRequest) -> ClusterSettings:
    """The older OpenSearch with its security plugin and TLS from a private CA; the credentials are a superuser's."""
    return _settings(request, "secured_os")


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.live) for name in ("os2", "os3")])
def ml_opensearch(request: pytest.FixtureRequest) -> ClusterSettings:
    """Each OpenSearch; both have ML Commons, which may call a model server on this machine."""
    return _settings(request, request.param)


@pytest.fixture(
    scope="session", params=[pytest.param(kind, marks=pytest.mark.live) for kind in ("elasticsearch", "opensearch")]
)
def secured(request: pytest.FixtureRequest) -> Secured:
    """Each of the two secured engines."""
    return Secured(request.param, request.getfixturevalue(f"secured_{request.param}"))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> ClusterSettings:
    return ClusterSettings(url=f"embedded:{tmp_path_factory.mktemp('store')}")


@pytest.fixture
async def cluster(store: ClusterSettings) -> AsyncIterator[Cluster]:
    """A connection to each of the five stores."""
    connected = await connect(store)
    yield connected
    await connected.close()


@pytest.fixture
async def index_name(store: ClusterSettings) -> AsyncIterator[str]:
    """A name that no index of the store has; what is made under it goes soon after the test."""
    name = unique_name()
    yield name
    if is_engine(store):
        drop_later(store, name)
    else:
        await drop(store, name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    from support.servers.postgres import running_postgres

    with running_postgres() as url:
        yield url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of an empty database there."""
    from support.servers.postgres import new_database

    with new_database(postgres) as url:
        yield url


@pytest.fixture
def postgres_writer(database: str) -> Iterator[psycopg.Connection]:
    """The connection of an application that writes there."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The default encoder, loaded once, which encodes a text once."""
    return RememberingEncoder(load_encoder(Settings()))


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A ready rerank worker, forked by a launcher. Tests that hurt a worker start their own."""
    ready_file = tmp_path_factory.mktemp("worker") / "ready.json"

    def is_ready() -> bool:
        state = read_state(ready_file)
        return state is not None and state.state != "loading"

    with launching() as launcher:
        running = launcher.start("worker", "--port", "0", "--ready-file", str(ready_file), cwd=ready_file.parent)
        wait_until(lambda: running.ended.done() or is_ready())
        assert not running.ended.done(), running.stderr()
        yield WorkerProcess(json.loads(ready_file.read_text())["url"], running)
        running.kill(signal.SIGTERM)
        running.wait()


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Starts commands of the connector, without the wait for their imports."""
    with launching() as launcher:
        yield launcher


@pytest.fixture(scope="session")
def torch_launcher() -> Iterator[Launcher]:
    """Starts commands and programs that need torch."""
    with launching(*TORCH) as launcher:
        yield launcher
