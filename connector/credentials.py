"""Who asks: what a request's Authorization header says of it. Nothing here ever shows the secret."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import dataclass

from pydantic import SecretStr

from connector.errors import CredentialsError

_SCOPE_KEY = secrets.token_bytes(32)
_WORDS = {"basic": "user name and password", "apikey": "API key", "bearer": "bearer token"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """One principal, made with `basic`, `api_key` or `bearer`; `authorization` is the value of its header.

    Raises CredentialsError for what no header can say."""

    authorization: SecretStr

    def __post_init__(self) -> None:
        scheme, _, secret = self.authorization.get_secret_value().partition(" ")
        if not scheme or not re.fullmatch(r"[\x21-\x7e]+", secret):
            raise CredentialsError(
                f"the {_WORDS.get(scheme.lower(), 'secret')} is empty, or holds a space, a line end or a letter beyond "
                "ASCII; was it read whole, and without what follows it?"
            )

    @classmethod
    def basic(cls, username: str, password: str) -> Credentials:
        if not username or ":" in username:
            raise CredentialsError("a user name is not empty and holds no colon")
        return cls(SecretStr(f"Basic {_base64(f'{username}:{password}')}"))

    @classmethod
    def api_key(cls, key: str) -> Credentials:
        """Elasticsearch's API key: encoded, or as the pair `id:api_key`."""
        return cls(SecretStr(f"ApiKey {_base64(key) if ':' in key else key}"))

    @classmethod
    def bearer(cls, token: str) -> Credentials:
        """A service or OAuth token of Elasticsearch, a JWT or on-behalf-of token of OpenSearch."""
        return cls(SecretStr(f"Bearer {token}"))

    @property
    def header(self) -> dict[str, str]:
        return {"authorization": self.authorization.get_secret_value()}

    @property
    def words(self) -> str:
        """What kind of credentials these are, for messages."""
        return _WORDS.get(self.authorization.get_secret_value().partition(" ")[0].lower(), "credentials")

    @property
    def scope(self) -> str:
        """A name for this principal's share of a cache, the same as long as this process lives.

        It tells nothing of the secret."""
        return hmac.new(_SCOPE_KEY, self.authorization.get_secret_value().encode(), "sha256").hexdigest()[:32]


def _base64(text: str) -> str:
    try:
        return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
    except UnicodeEncodeError:
        raise CredentialsError("the credentials hold half a surrogate pair, which is no character") from None
