"""What `from connector import ...` gives, and what the import costs. What type checkers see of it: tests/typed."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import connector
from connector import errors

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
    "CursorError",
    "CursorExpired",
    "CursorForged",
    "CursorMismatch",
    "Degradation",
    "DiskError",
    "DocumentError",
    "EncoderMismatch",
    "EndpointError",
    "EndpointUnavailable",
    "Explanation",
    "FilterError",
    "IndexBlocked",
    "IndexExists",
    "IndexGone",
    "IndexMissing",
    "LegExplanation",
    "MissingExtra",
    "ModelError",
    "Passage",
    "PluginError",
    "QueryError",
    "ScoreExplanation",
    "ScorePart",
    "RayUnavailable",
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
    "Total",
    "UsageError",
    "ViewLost",
    "WorkerError",
    "WorkerUnavailable",
    "__version__",
    "load_settings",
]


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

    assert [name for name in loaded if name.startswith("connector")] == ["connector", "connector.no_telemetry"]
    assert not {"numpy", "torch", "pydantic", "httpx"} & set(loaded)
