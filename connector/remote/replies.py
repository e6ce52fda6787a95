"""What a worker's callers make of its replies, and of there being none."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

from connector.errors import WorkerError, WorkerUnavailable
from connector.retries import read_retry_after
from connector.types import Vectors


@contextmanager
def sending(url: str, *, section: str, timeout_s: float) -> Iterator[None]:
    """Around a request to the worker that the settings' `section` names: whatever httpx raises becomes a
    WorkerError."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise WorkerError("a text for the worker holds half a surrogate pair, which is no character") from error
    except httpx.TimeoutException as error:
        raise WorkerUnavailable(f"the worker at {url} did not answer within {timeout_s:.2f} s") from error
    except httpx.ConnectError as error:
        if "SSL" in str(error):
            raise WorkerError(
                f"no TLS with the worker at {url} ({error}); "
                f"does it speak https, and is its CA the one in {section}.ca_cert?"
            ) from error
        raise WorkerUnavailable(f"no worker at {url}; start one with: connector worker") from error
    except httpx.HTTPError as error:
        raise WorkerUnavailable(f"the worker at {url} broke off ({error or type(error).__name__})") from error
    except httpx.InvalidURL as error:
        raise WorkerError(f"{section}.url {url!r} is no URL: {error}") from error


def require_ok(reply: httpx.Response, url: str) -> None:
    """Raise WorkerError for a refusal, WorkerUnavailable where the same may work later."""
    if reply.status_code == 200:
        return
    reason = f"the worker at {url} refused (HTTP {reply.status_code}): {_message(reply)}"
    if reply.status_code == 429 or reply.status_code >= 500:
        retry_after_s = read_retry_after(reply.headers.get("retry-after"))
        raise WorkerUnavailable(reason, status=reply.status_code, retry_after_s=retry_after_s)
    raise WorkerError(reason, status=reply.status_code)


def read_json(reply: httpx.Response, url: str) -> Any:
    """The reply's body. Raises WorkerError where it is not JSON."""
    try:
        return reply.json()
    except (ValueError, RecursionError) as error:
        raise WorkerError(f"{url} answered with something that is not JSON; is a worker running there?") from error


def read_vectors(data: Any, *, count: int, dims: int) -> Vectors:
    """The vectors [count, dims] in the `data` of a reply with base64. Raises ValueError where they cannot be right."""
    vectors = np.full((count, dims), np.nan, dtype=np.float32)
    if not isinstance(data, list) or len(data) != count:
        raise ValueError(f"{len(data) if isinstance(data, list) else 'no'} vectors for {count} texts")
    for item in data:
        at, text = (item.get("index"), item.get("embedding")) if isinstance(item, dict) else (None, None)
        if type(at) is not int or not 0 <= at < count or not isinstance(text, str):
            raise ValueError(f"an item that is no embedding: {str(item)[:100]}")
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
        if vector.shape != (dims,):
            raise ValueError(f"a vector of {len(vector)} dimensions, not {dims}")
        vectors[at] = vector
    if not np.isfinite(vectors).all():
        raise ValueError("a vector that is missing or holds NaN or infinity")
    return vectors


def _message(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except (ValueError, RecursionError):
        return reply.text[:200]
    if not isinstance(body, dict):
        return str(body)[:200]
    reason = body.get("error") or body.get("message") or body
    return str(reason.get("message", reason) if isinstance(reason, dict) else reason)[:300]
