"""What a worker's callers make of its replies, and of there being none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from connector.errors import WorkerError, WorkerUnavailable
from connector.retries import read_retry_after


@contextmanager
def sending(url: str, *, section: str, timeout_s: float) -> Iterator[None]:
    """Around a request to the worker that the settings' `section` names: whatever httpx raises becomes a WorkerError."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise WorkerError("a text for the worker holds half a surrogate pair, which is no character") from error
    except httpx.TimeoutException as error:
        raise WorkerUnavailable(f"the worker at {url} did not answer within {timeout_s:.2f} s") from error
    except httpx.ConnectError as error:
        if "SSL" in str(error):
            raise WorkerError(
                f"no TLS with the worker at {url} ({error}); does it speak https, and is its CA the one in {section}.ca_cert?"
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


def _message(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except (ValueError, RecursionError):
        return reply.text[:200]
    if not isinstance(body, dict):
        return str(body)[:200]
    said = body.get("error") or body.get("message") or body
    return str(said.get("message", said) if isinstance(said, dict) else said)[:300]
