"""What an engine says of the privileges of these credentials. One without security does not know the question."""

from __future__ import annotations

from typing import Any

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON
from connector.errors import AccessDenied, ClusterError

NO_SUCH_ROUTE = frozenset({400, 404, 405, 500, 501})  # how the engines without security refuse a request for it


async def read_privileges(client: Client, asked: JSON, *, timeout_s: float) -> JSON | None:
    """What Elasticsearch says of the privileges that are asked about; None where it has no users."""
    return await _ask_security(client, "POST", "/_security/user/_has_privileges", asked, timeout_s)


async def has_users(client: Client, *, timeout_s: float) -> bool:
    """Whether an OpenSearch tells one who asks from another."""
    return await _ask_security(client, "GET", "/_plugins/_security/authinfo", None, timeout_s) is not None


async def is_denied(client: Client, method: str, path: str, body: Any = None, *, timeout_s: float) -> bool:
    """Whether a request is refused for want of a privilege; whatever else is said of it does not matter. Raises
    ClusterError where nothing answers."""
    try:
        await client.request(method, path, body=body, timeout_s=timeout_s)
    except AccessDenied:
        return True
    except ClusterError as error:
        if error.status is None:
            raise
    return False


async def _ask_security(client: Client, method: str, path: str, body: Any, timeout_s: float) -> JSON | None:
    try:
        return await client.request(method, path, body=body, timeout_s=timeout_s)
    except ClusterError as error:  # a denial has a status of its own
        if error.status in NO_SUCH_ROUTE:
            return None
        raise
