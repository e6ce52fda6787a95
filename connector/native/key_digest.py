"""Whether a key is still the same, told from something that does not tell the key."""

from __future__ import annotations

import hashlib
import hmac
import secrets

SALT_BYTES = 8


def digest_key(key: str | None) -> str:
    """A digest of the key: salted, and slow to try keys against; "" for none."""
    return _digest(key, secrets.token_bytes(SALT_BYTES)) if key else ""


def is_digest_of(digest: str, key: str | None) -> bool:
    """Whether that is a digest of the key."""
    if not key or not digest:
        return not key and not digest
    try:
        salt = bytes.fromhex(digest.partition(":")[0])
    except ValueError:
        return False
    return hmac.compare_digest(_digest(key, salt), digest)


def _digest(key: str, salt: bytes) -> str:
    return f"{salt.hex()}:{hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, dklen=8).hex()}"
