"""The section of the language model that judges: where it is, and as whom it is asked."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from connector.settings.secrets import HeaderSecret
from connector.settings.section import Section
from connector.settings.urls import check_url


class JudgeSettings(Section):
    """The language model that `connector judge llm` asks for grades."""

    url: str | None = Field(None, description="an OpenAI-compatible endpoint, up to /v1: https://HOST/v1")
    model: str | None = Field(None, description="the name that the endpoint has for the model")
    api_key: HeaderSecret | None = Field(None, description="the endpoint's API key")
    ca_cert: str | None = Field(None, description="PEM file of the CA that signed the endpoint's certificate")
    timeout_s: float = Field(120.0, gt=0, description="longest wait for one answer")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url or "", "use api_key")
        return self
