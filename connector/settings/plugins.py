"""What plug-ins are given: each has a section of its own, and knows alone what may stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, SecretStr, model_validator

from connector.settings.names import is_secret_key
from connector.settings.section import Section


class PluginSettings(Section):
    """What a plug-in is given. It says itself what it takes; a name that ends in key, token, password, secret,
    credentials or dsn is that of a secret."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @model_validator(mode="after")
    def _hide_secrets(self) -> Self:
        for key, value in self.given.items():
            if is_secret_key(key) and isinstance(value, str):
                # extras are allowed, so they are there
                self.__pydantic_extra__[key] = SecretStr(value)  # type: ignore[index]
        return self

    @property
    def given(self) -> Mapping[str, Any]:
        """The settings; secrets are wrapped, and print as asterisks."""
        return self.__pydantic_extra__ or {}

    @property
    def plain(self) -> dict[str, Any]:
        """The settings as the plug-in gets them."""
        return {
            key: value.get_secret_value() if isinstance(value, SecretStr) else value
            for key, value in self.given.items()
        }
