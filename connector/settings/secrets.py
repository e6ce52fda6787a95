"""The kinds of secrets that settings hold: what can be sent as a password, a key or one of several keys."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

MIN_SIGNING_CHARS = 16


def _one_line(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().isprintable():
        raise ValueError("a line break or another control character is in it; check how it was copied")
    return secret


def _for_header(secret: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ValueError("a blank or another character that no key has is in it; check how it was copied")
    return secret


def _each_for_header(secret: SecretStr) -> SecretStr:
    keys = split_keys(secret)
    if not keys:
        raise ValueError("there is no key in it; leave the setting out to let everybody call")
    for key in keys:
        _for_header(SecretStr(key))
    return secret


def _to_sign_with(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MIN_SIGNING_CHARS:
        raise ValueError(f"a key to sign with has {MIN_SIGNING_CHARS} characters at least")
    return secret


def split_keys(secret: SecretStr | None) -> list[str]:
    """The keys in a secret that may hold several, by lines or blanks."""
    return [key for key in re.split("[ \n]+", secret.get_secret_value()) if key] if secret else []


SigningKey = Annotated[SecretStr, AfterValidator(_one_line), AfterValidator(_to_sign_with)]
Password = Annotated[SecretStr, AfterValidator(_one_line)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_for_header)]
HeaderSecrets = Annotated[SecretStr, AfterValidator(_each_for_header)]
