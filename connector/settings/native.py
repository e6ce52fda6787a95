"""The settings of the worker inside the engine."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from connector.settings.section import Section
from connector.settings.urls import check_url


class NativeSettings(Section):
    """The worker inside the engine: what `connector native install` puts there."""

    worker_url: str | None = Field(
        None,
        description="the worker as the cluster's nodes reach it; the url of the first stage's reranker when not given",
    )
    embeddings: bool = Field(True, description="the engine gets vectors from the worker too")
    field: str | None = Field(
        None,
        description="the one text field that is embedded at ingest (OpenSearch) or reranked (Elasticsearch)",
    )
    model_group: str | None = Field(
        None, description="OpenSearch: id of the group that the models belong to; each has its own when not given"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.worker_url or "", "leave them out")
        return self
