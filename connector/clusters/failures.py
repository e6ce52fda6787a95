"""What the refusals of a cluster and its broken connections mean, as errors of ours that say what to do."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from connector.clusters.reasons import explain_reason
from connector.clusters.tls import explain_tls
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, IndexBlocked
from connector.settings.sections import ClusterSettings

NOT_READY = "SERVICE_UNAVAILABLE"  # in a block: the cluster is starting, or has no master
NO_WRITE_INDEX = "no write index is defined for alias"
UNAVAILABLE = frozenset({429, 502, 503, 504})
# what the actions of the engines are for; the first that fits
PURPOSES = {
    "indices:admin/create": "create index",
    "indices:admin/delete": "drop index",
    "indices:admin/mapping": "read the mapping of index",
    "indices:admin/refresh": "refresh index",
    "indices:data/write": "write to index",
    "indices:data/read": "read index",
}
ROLES = "docs/how-to/secure.md has roles to copy"
ELASTICSEARCH_DENIAL = re.compile(
    r"action \[(?P<action>.+?)\] is unauthorized for (?P<who>\w[\w ]*\[[^\]]*\](?: of user \[[^\]]*\])?)"
    r"(?:.*? on (?:restricted )?indices \[(?P<index>[^\]]*)\])?.*?"
    r"granted by the (?P<kind>\w+) privileges \[(?P<granted>[^\]]*)\]",
    re.DOTALL,
)
OPENSEARCH_DENIAL = re.compile(r"no permissions for \[(?P<action>.+?)\] and User \[name=(?P<who>[^,\]]*)")


def explain_error(body: Any, status: int) -> str:
    """The engine's own words for what went wrong."""
    error = body.get("error", body.get("message", body.get("Message"))) if isinstance(body, Mapping) else body
    return explain_reason(error, status)


def is_denial(error: Any) -> bool:
    """Whether it is for want of a privilege that the engine refused."""
    return isinstance(error, Mapping) and error.get("type") == "security_exception"


def is_nowhere(error: Any) -> bool:
    """Whether what a write was sent to is no index, or an alias of several."""
    if not isinstance(error, Mapping):
        return False
    return error.get("type") == "index_not_found_exception" or NO_WRITE_INDEX in str(error.get("reason"))


def is_block(error: Any) -> bool:
    """Whether something bars the index: a full disk (flood stage), or a block that somebody set."""
    return isinstance(error, Mapping) and error.get("type") == "cluster_block_exception"


def explain_block(error: Any, status: int) -> str:
    """What a block keeps from being done, and what lifts it."""
    reason = explain_reason(error, status)
    if NOT_READY in reason:
        return f"the cluster is not ready: {reason}; wait, or see GET _cluster/health"
    if "index read (api)" in reason:
        return f'the index takes no reads: {reason}; lift the block: PUT INDEX/_settings {{"index.blocks.read": false}}'
    if "metadata" in reason:
        return (
            f"the index shows and takes no metadata: {reason}; lift the block: "
            'PUT INDEX/_settings {"index.blocks.metadata": false}'
        )
    if "cluster read-only" in reason:
        return (
            f"the cluster takes no writes: {reason}; lift the block: PUT _cluster/settings "
            '{"persistent": {"cluster.blocks.read_only_allow_delete": null, "cluster.blocks.read_only": null}}'
        )
    return (
        f"the index takes no writes: {reason}; where the disk is full (flood stage), free space and the engine lifts "
        'the block; else PUT INDEX/_settings {"index.blocks.write": false, "index.blocks.read_only": false}'
    )


def explain_denial(reason: str, *, index: str) -> str | None:
    """Who may not do what, and what to grant, from the words of either engine; None where they say something else."""
    if found := ELASTICSEARCH_DENIAL.search(reason):
        granted = found["granted"].replace(",", ", ")
        grant = f"grant one of the {found['kind']} privileges {granted}"
        who, index = found["who"], found["index"] or index
    elif found := OPENSEARCH_DENIAL.search(reason):
        who, grant = f"user [{found['who']}]", f"grant the permission {found['action']}"
    else:
        return None
    action = found["action"]
    verb = next((words for prefix, words in PURPOSES.items() if action.startswith(prefix)), None)
    attempt = f"{verb} {index!r} ({action})" if verb and index else f"do {action}"
    return f"{who} may not {attempt}; {grant}; {ROLES}"


def refusal(
    settings: ClusterSettings,
    status: int,
    body: Any,
    *,
    asker: str,
    index: str = "",
    retry_after_s: float | None = None,
) -> ClusterError:
    """The error for a reply with that status. `asker` names the credentials that were sent ("" for none)."""
    url, reason = settings.url, explain_error(body, status)
    error = body.get("error") if isinstance(body, Mapping) else None
    error = _block_of(error) or error
    if status == 401:
        return AccessDenied(_explain_unauthorized(url, error, asker, reason), status=401)
    if is_block(error):
        kind = ClusterUnavailable if NOT_READY in reason else IndexBlocked
        return kind(explain_block(error, status), status=status)
    if status == 403:
        denial = explain_denial(reason, index=index)
        words = (
            f"{url}: {denial}"
            if denial
            else f"{url} forbids this to {asker or 'callers without credentials'}: {reason}"
        )
        return AccessDenied(words, status=403)
    if status in UNAVAILABLE:
        return ClusterUnavailable(
            f"{url} is overloaded or not ready: {reason}", status=status, retry_after_s=retry_after_s
        )
    return ClusterError(f"{url} refused the request: {reason}", status=status)


def _block_of(error: Any) -> Any:
    """The block behind an error, where there is one: a search tells of it inside the failure of a shard."""
    shards = error.get("failed_shards") if isinstance(error, Mapping) else None
    reasons = [shard.get("reason") for shard in shards] if isinstance(shards, list) else []
    return next((reason for reason in reasons if is_block(reason)), None)


def _explain_unauthorized(url: str, error: Any, asker: str, reason: str) -> str:
    if not asker:
        return (
            f"{url} asks for credentials ({reason}); set cluster.api_key, cluster.username and cluster.password, "
            "or cluster.bearer_token"
        )
    is_elasticsearch = isinstance(error, Mapping)
    if is_elasticsearch:
        reason = str(error.get("additional_unsuccessful_credentials") or reason).removeprefix("API key: ")
    if "expired" in reason or "invalidated" in reason:
        return f"{url} no longer accepts {asker}: {reason}; make a new one"
    hint = "; OpenSearch takes no API keys" if "API key" in asker and not is_elasticsearch else ""
    advice = "check both" if "password" in asker else "check it, and whether it has expired"
    return f"{url} does not accept {asker}: {reason}{hint}; {advice}"


def broken(settings: ClusterSettings, error: Exception) -> ClusterError:
    """The error for a connection that could not be made, or broke off."""
    causes = list(_causes(error))
    ours = next((cause for cause in causes if isinstance(cause, ClusterError)), None)
    if ours:
        return ours
    handshakes = [cause for cause in causes if isinstance(cause, ssl.SSLError)]
    if handshakes:
        return explain_tls(settings, handshakes[-1])  # aiohttp's own, around it, says less
    return ClusterUnavailable(
        f"cannot reach {settings.url} ({_words(error)}); is the cluster running, and is cluster.url right?"
    )


def garbled(settings: ClusterSettings) -> ClusterError:
    return ClusterUnavailable(
        f"{settings.url} answered with something that is not JSON; is a proxy in between, or half a reply?"
    )


def late(settings: ClusterSettings) -> ClusterError:
    return ClusterUnavailable(f"{settings.url} did not answer in time")


def redirected(url: str, location: str) -> ClusterError:
    """The error for a redirect, which is not followed: it could carry a query, documents or credentials elsewhere."""
    return ClusterError(
        f"{url} redirects to {location.partition('?')[0]}, which is not followed; "
        "put the address of the cluster itself into cluster.url"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it; the clients hide causes (`raise ... from None`) that say what went wrong."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _words(error: Exception) -> str:
    """What the system says, or the first line of the innermost message; a client's own text may hold a whole
    traceback."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    inner = getattr(error, "errors", None) or getattr(error, "info", None) or getattr(error, "message", None) or error
    if isinstance(inner, list | tuple):
        inner = inner[0]
    return (str(inner).strip().splitlines() or [type(error).__name__])[0][:200]
