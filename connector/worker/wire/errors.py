"""Errors, in the shape that the clients of a path read. A path takes several dialects before the body is read, so it
has one."""

from __future__ import annotations

from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from connector.worker.wire.common import EXACT

ErrorType = Literal["validation", "tokenizer", "backend", "overloaded", "empty", "unhealthy"]


@with_config(EXACT)
class TeiError(TypedDict):
    error: str
    error_type: ErrorType


@with_config(EXACT)
class CohereError(TypedDict):
    message: str


@with_config(EXACT)
class CohereV1Error(TypedDict):
    """Cohere reads `message`, Jina and Voyage read `detail`."""

    message: str
    detail: str


@with_config(EXACT)
class VllmErrorInfo(TypedDict):
    message: str
    type: str
    param: None
    code: int


@with_config(EXACT)
class VllmError(TypedDict):
    error: VllmErrorInfo


AnyError = TeiError | CohereError | CohereV1Error | VllmError


def build_error(path: str, status: int, kind: ErrorType, message: str) -> AnyError:
    """An error in the dialect of the path; TEI's where no other has it."""
    if path in ("/score", "/v1/score", "/v1/embeddings", "/v1/models"):  # OpenAI's shape
        return VllmError(error=VllmErrorInfo(message=message, type=kind, param=None, code=status))
    if path.startswith("/v2/"):
        return CohereError(message=message)
    if path.startswith("/v1/"):
        return CohereV1Error(message=message, detail=message)
    return TeiError(error=message, error_type=kind)
