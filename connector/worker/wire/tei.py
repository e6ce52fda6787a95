"""text-embeddings-inference (TEI), and Elasticsearch's `hugging_face` service: POST /rerank with `texts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from connector.models.scorer import Scores
from connector.worker.wire.common import EXACT, NOT_EMPTY, Request, Text, best_first

MAX_SPANS = 2_000  # the query layer sends no more
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Span = Annotated[list[Number], Field(min_length=3, max_length=3, description="start and end in characters, weight")]


class TeiRequest(Request):
    """As TEI takes it. Ours are `query_weights`, what the words of the query count in late interaction, and `model`."""

    model: str | None = None
    raw_scores: bool | None = None
    texts: list[Text] = Field(json_schema_extra=NOT_EMPTY)
    return_text: bool | None = None
    top_n: int | None = Field(None, ge=1)
    query_weights: list[Span] | None = Field(None, max_length=MAX_SPANS)

    @property
    def wants_raw(self) -> bool:
        return bool(self.raw_scores)


@with_config(EXACT)
class TeiItem(TypedDict):
    index: int
    score: float
    text: NotRequired[str]


def build_tei_reply(request: TeiRequest, scores: Scores) -> list[TeiItem]:
    items: list[TeiItem] = []
    for index, score in best_first(scores, request.top_n):
        items.append(TeiItem(index=index, score=score))
        if request.return_text:
            items[-1]["text"] = request.texts[index]
    return items


def spans(weights: Sequence[Sequence[float]] | None) -> list[tuple[int, int, float]] | None:
    """`query_weights` as the scorers take them."""
    return None if weights is None else [(int(start), int(end), float(weight)) for start, end, weight in weights]
