"""What an address in the settings may be."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_url(url: str, no_credentials: str) -> None:
    """Refuse what would end up in messages, and an address that nothing can connect to. Raises ValueError."""
    if url.startswith("embedded:"):
        return
    if "@" in url:  # anywhere: a password may hold a slash
        raise ValueError(f"url holds credentials, which would end up in messages; {no_credentials}")
    if url.startswith(("http://", "https://")):
        try:
            parts = urlsplit(url)
            why = "" if parts.hostname and parts.port != 0 else "it needs a host, and a port from 1"
        except ValueError as error:
            why = str(error)
        if why:
            raise ValueError(f"url {url!r} is no address ({why}); give http(s)://HOST:PORT")
