"""A cursor's text: its content compressed and signed, so that nobody else can make one. It is not a secret."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import zlib
from typing import Any

from connector.errors import CursorForged

PROCESS_KEY = secrets.token_bytes(32)  # for those who set none: of this process alone
DIGEST_BYTES = 32


class Signer:
    """Signs cursors with a key (HMAC-SHA256), and reads those that were signed with it."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key else PROCESS_KEY

    def write(self, content: Any) -> str:
        """The text of a content, which is JSON."""
        packed = zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 9)
        return base64.urlsafe_b64encode(self._digest(packed) + packed).decode().rstrip("=")

    def read(self, cursor: str) -> Any:
        """The content of a text. Raises CursorForged."""
        try:
            signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise CursorForged from None
        digest, packed = signed[:DIGEST_BYTES], signed[DIGEST_BYTES:]
        if not hmac.compare_digest(digest, self._digest(packed)):
            raise CursorForged
        return json.loads(zlib.decompress(packed))

    def _digest(self, packed: bytes) -> bytes:
        return hmac.digest(self._key, packed, "sha256")
