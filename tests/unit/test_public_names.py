"""What `from connector import ...` gives, what type checkers see of it, and what the import costs."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import connector
from connector import errors

ROOT = Path(connector.__file__).parents[1]
NAMES = [
    "AccessDenied",
    "CircuitOpen",
    "ClusterError",
    "ClusterUnavailable",
    "Connector",
    "ConnectorClosed",
    "ConnectorError",
    "Credentials",
    "CredentialsError",
    "Degradation",
    "DiskError",
    "DocumentError",
    "EncoderMismatch",
    "Explanation",
    "FilterError",
    "IndexExists",
    "IndexMissing",
    "LegExplanation",
    "MissingExtra",
    "ModelError",
    "Passage",
    "QueryError",
    "ScoreExplanation",
    "ScorePart",
    "SearchFailed",
    "SearchHit",
    "SearchOptions",
    "SearchRequest",
    "SearchResponse",
    "Settings",
    "SettingsError",
    "SourceError",
    "SyncConnector",
    "TlsError",
    "UsageError",
    "WorkerError",
    "WorkerUnavailable",
    "__version__",
    "load_settings",
]

SNIPPET = """
from connector import Connector, SearchResponse, Settings, SyncConnector, __version__

async def ask(connector: Connector, other: SyncConnector) -> SearchResponse:
    right = await connector.search("x", k=3, filter="a=b", deadline_s=2.5, rerank=False)
    other.search("x", window=20, depth=100, credentials=None)
    await connector.search("x", kk=3)  # wrong
    other.search("x", k="three")  # wrong
    other.search("x", deadline=3)  # wrong
    other.search(b"x")  # wrong
    Settings(nonsens=1)  # wrong
    print(right.hits[0].explain.fusion, __version__.upper())
    return right
"""


def test_the_public_names_are_these() -> None:
    assert sorted(connector.__all__) == sorted(NAMES)
    assert dir(connector) == sorted(NAMES)
    for name in NAMES:
        assert getattr(connector, name) is not None


def test_every_error_of_the_tree_is_public() -> None:
    tree = {name for name, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)}

    assert tree <= set(connector.__all__)
    assert all(issubclass(getattr(connector, name), connector.ConnectorError) for name in tree)


def test_the_version_is_the_installed_one() -> None:
    assert connector.__version__ == importlib.metadata.version("hybrid-search-connector")


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Conector'"):
        connector.Conector  # noqa: B018


def test_the_import_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import connector; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in loaded if name.startswith("connector")] == ["connector"]
    assert not {"numpy", "torch", "pydantic", "httpx"} & set(loaded)


def test_a_type_checker_sees_options_that_there_are_not(tmp_path: Path) -> None:
    file = tmp_path / "ask.py"
    file.write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", str(file)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    lines = SNIPPET.splitlines()
    wrong = [number for number, line in enumerate(lines, start=1) if line.endswith("# wrong")]

    assert [int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line] == wrong, told
