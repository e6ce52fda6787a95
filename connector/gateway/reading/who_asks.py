"""A name for whoever asks, of which nothing can be told but whether it is the same."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from connector.gateway.exchange import Headers

CREDENTIALS = frozenset(
    {b"authorization", b"es-security-runas-user", b"es-secondary-authorization", b"x-es-app-auth", b"cookie"}
    | {b"x-proxy-user", b"x-proxy-roles", b"x-proxy-ext"}
)
NAMING = CREDENTIALS | {b"x-forwarded-for"}
_KEY = secrets.token_bytes(32)


def has_credentials(headers: Headers) -> bool:
    """Whether the engine may hide something from some callers."""
    return any(key.lower() in CREDENTIALS for key, _ in headers)


def who_asks(headers: Headers) -> str:
    """The same for two requests with the same credentials, as long as this process lives; "" where there are none."""
    credentials = sorted((key.lower(), value) for key, value in headers if key.lower() in NAMING)
    if not credentials:
        return ""
    return hmac.new(_KEY, repr(credentials).encode(), hashlib.sha256).hexdigest()
