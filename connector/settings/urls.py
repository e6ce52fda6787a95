"""What an address in the settings may be."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_url(url: str, no_credentials: str) -> None:
    """Refuse what would end up in messages, and an address that nothing can connect to. Raises ValueError."""
    if url.startswith("embedded:"):
        return
    if "@" in url:  # anywhere: a password may hold a slash
        raise ValueError(f"url holds credentials, which would end up in messages; {no_credentials}")
    if url.startswith(("http://", "https://")) and (why := why_no_address(url)):
        raise ValueError(f"url {url!r} is no address ({why}); give http(s)://HOST:PORT")


def why_no_address(url: str) -> str:
    """Why nothing can connect to it; empty where something can."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        return str(error)
    return "" if is_one else "it needs a host, and a port from 1"
