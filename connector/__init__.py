"""Hybrid search and neural reranking beside the Elasticsearch or OpenSearch cluster you already run.

>>> from connector import Connector, SyncConnector
>>> with SyncConnector.open() as search:                     # settings from connector.yaml and CONNECTOR_*
...     response = search.search("margin for tier-2 partners", filter="date>=2024-01-15", k=5)

Names are imported when they are first used, so that `import connector` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from connector.no_telemetry import keep_silent

if TYPE_CHECKING:
    from connector.client import Connector as Connector
    from connector.client import SearchOptions as SearchOptions
    from connector.client import SyncConnector as SyncConnector
    from connector.credentials import Credentials as Credentials
    from connector.errors import AccessDenied as AccessDenied
    from connector.errors import CircuitOpen as CircuitOpen
    from connector.errors import ClusterError as ClusterError
    from connector.errors import ClusterUnavailable as ClusterUnavailable
    from connector.errors import ConnectorClosed as ConnectorClosed
    from connector.errors import ConnectorError as ConnectorError
    from connector.errors import CredentialsError as CredentialsError
    from connector.errors import CursorError as CursorError
    from connector.errors import CursorExpired as CursorExpired
    from connector.errors import CursorForged as CursorForged
    from connector.errors import CursorMismatch as CursorMismatch
    from connector.errors import DiskError as DiskError
    from connector.errors import DocumentError as DocumentError
    from connector.errors import EncoderMismatch as EncoderMismatch
    from connector.errors import EndpointError as EndpointError
    from connector.errors import EndpointUnavailable as EndpointUnavailable
    from connector.errors import FilterError as FilterError
    from connector.errors import IndexBlocked as IndexBlocked
    from connector.errors import IndexExists as IndexExists
    from connector.errors import IndexGone as IndexGone
    from connector.errors import IndexMissing as IndexMissing
    from connector.errors import MissingExtra as MissingExtra
    from connector.errors import ModelError as ModelError
    from connector.errors import PluginError as PluginError
    from connector.errors import QueryError as QueryError
    from connector.errors import RayUnavailable as RayUnavailable
    from connector.errors import SearchFailed as SearchFailed
    from connector.errors import SettingsError as SettingsError
    from connector.errors import SourceError as SourceError
    from connector.errors import TlsError as TlsError
    from connector.errors import UsageError as UsageError
    from connector.errors import ViewLost as ViewLost
    from connector.errors import WorkerError as WorkerError
    from connector.errors import WorkerUnavailable as WorkerUnavailable
    from connector.settings.load import load_settings as load_settings
    from connector.settings.sections import Settings as Settings
    from connector.types import Degradation as Degradation
    from connector.types import Explanation as Explanation
    from connector.types import LegExplanation as LegExplanation
    from connector.types import Passage as Passage
    from connector.types import ScoreExplanation as ScoreExplanation
    from connector.types import ScorePart as ScorePart
    from connector.types import SearchHit as SearchHit
    from connector.types import SearchRequest as SearchRequest
    from connector.types import SearchResponse as SearchResponse
    from connector.types import Total as Total

    __version__: str

keep_silent()
_PUBLIC = {
    "connector.client": ("Connector", "SyncConnector", "SearchOptions"),
    "connector.settings.sections": ("Settings",),
    "connector.settings.load": ("load_settings",),
    "connector.credentials": ("Credentials",),
    "connector.errors": (
        "AccessDenied",
        "CircuitOpen",
        "ClusterError",
        "ClusterUnavailable",
        "ConnectorClosed",
        "ConnectorError",
        "CredentialsError",
        "CursorError",
        "CursorExpired",
        "CursorForged",
        "CursorMismatch",
        "DiskError",
        "DocumentError",
        "EncoderMismatch",
        "EndpointError",
        "EndpointUnavailable",
        "FilterError",
        "IndexBlocked",
        "IndexExists",
        "IndexGone",
        "IndexMissing",
        "MissingExtra",
        "ModelError",
        "PluginError",
        "QueryError",
        "RayUnavailable",
        "SearchFailed",
        "SettingsError",
        "SourceError",
        "TlsError",
        "UsageError",
        "ViewLost",
        "WorkerError",
        "WorkerUnavailable",
    ),
    "connector.types": (
        "Degradation",
        "Explanation",
        "LegExplanation",
        "Passage",
        "ScoreExplanation",
        "ScorePart",
        "SearchHit",
        "SearchRequest",
        "SearchResponse",
        "Total",
    ),
}
_HOMES = {name: home for home, names in _PUBLIC.items() for name in names}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hybrid-search-connector")
    if name not in _HOMES:
        raise AttributeError(f"module 'connector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
