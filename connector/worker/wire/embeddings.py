"""Embeddings: TEI's POST /embed; OpenAI's POST /v1/embeddings, to which Voyage adds `input_type`."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from connector.models.runtime import unit
from connector.types import Vector, Vectors
from connector.worker.wire.common import EXACT, NOT_EMPTY, Texts, Usage

Dimensions = Annotated[int | None, Field(ge=1, description="the first so many of the vector, made a unit vector again")]


class EmbedRequest(BaseModel):
    """As TEI takes it. What is too long is cut; `prompt_name` is query or document."""

    model_config = ConfigDict(extra="ignore")
    inputs: Texts = Field(json_schema_extra=NOT_EMPTY)
    model: str | None = None
    normalize: Literal[True] | None = Field(None, description="vectors are of length 1 always")
    prompt_name: Literal["query", "document", "passage"] | None = None
    dimensions: Dimensions = None

    @property
    def texts(self) -> list[str]:
        return self.inputs

    @property
    def are_queries(self) -> bool:
        return self.prompt_name == "query"


class EmbeddingsRequest(BaseModel):
    """As OpenAI and Voyage take it; `input` is text, not token ids. What is too long is cut."""

    model_config = ConfigDict(extra="ignore")
    input: Texts = Field(json_schema_extra=NOT_EMPTY)
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    input_type: Literal["query", "document"] | None = None
    dimensions: Dimensions = None

    @property
    def texts(self) -> list[str]:
        return self.input

    @property
    def are_queries(self) -> bool:
        return self.input_type == "query"


@with_config(EXACT)
class Embedding(TypedDict):
    object: Literal["embedding"]
    embedding: list[float] | str
    index: int


@with_config(EXACT)
class EmbeddingsReply(TypedDict):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


def build_embed_reply(vectors: Vectors) -> list[list[float]]:
    return [_numbers(vector) for vector in vectors]


def build_embeddings_reply(request: EmbeddingsRequest, vectors: Vectors, *, model: str, tokens: int) -> EmbeddingsReply:
    write = _base64 if request.encoding_format == "base64" else _numbers
    return EmbeddingsReply(
        object="list",
        data=[Embedding(object="embedding", embedding=write(vector), index=at) for at, vector in enumerate(vectors)],
        model=model,
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
    )


def shorten(vectors: Vectors, dimensions: int | None) -> Vectors:
    """The first dimensions of unit vectors [n, dims], as unit vectors. Raises ValueError where they have fewer."""
    if dimensions is None or dimensions == vectors.shape[1]:
        return vectors
    if dimensions > vectors.shape[1]:
        raise ValueError(f"dimensions: the model has {vectors.shape[1]}, not {dimensions}")
    return unit(vectors[:, :dimensions])


def _numbers(vector: Vector) -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
