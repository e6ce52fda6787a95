"""Hybrid search and neural reranking beside the Elasticsearch or OpenSearch cluster you already run.

>>> from connector import Connector, SyncConnector
>>> with SyncConnector.open() as search:                     # settings from connector.yaml and CONNECTOR_*
...     response = search.search("margin for tier-2 partners", filter="date>=2024-01-15", k=5)

Names are imported when they are first used, so that `import connector` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector.client import Connector as Connector
    from connector.client import SyncConnector as SyncConnector
    from connector.credentials import Credentials as Credentials
    from connector.errors import ConnectorError as ConnectorError
    from connector.settings.load import load_settings as load_settings
    from connector.settings.sections import Settings as Settings
    from connector.types import SearchHit as SearchHit
    from connector.types import SearchRequest as SearchRequest
    from connector.types import SearchResponse as SearchResponse

_HOMES = {
    "Connector": "connector.client",
    "SyncConnector": "connector.client",
    "Settings": "connector.settings.sections",
    "load_settings": "connector.settings.load",
    "Credentials": "connector.credentials",
    "ConnectorError": "connector.errors",
    "SearchHit": "connector.types",
    "SearchRequest": "connector.types",
    "SearchResponse": "connector.types",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'connector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
