"""Which searches are reranked where only a part of them is: by a stable hash."""

from __future__ import annotations

import hashlib

from connector.gateway.ordering.site import Site


def in_share(site: Site, text: str) -> bool:
    """Whether a search is one of them: the same text always is, on every page, or never."""
    share = site.settings.share
    if share >= 1:
        return True
    digest = hashlib.blake2b(f"{site.name}\0{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
