"""What the dialects share: texts, documents, how a reply is ordered, and that a reply holds no key but its own."""

from __future__ import annotations

import uuid
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
    with_config,
)
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from connector.models.scorer import Scores

EXACT = ConfigDict(extra="forbid")  # of a reply: the OpenAPI document then says that there are no other keys


def _whole_characters(text: str) -> str:
    text.encode()  # JSON can say half a surrogate pair, which no tokenizer takes
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]
Texts = Annotated[
    list[Text],
    BeforeValidator(lambda texts: [texts] if isinstance(texts, str) else texts, json_schema_input_type=str | list[str]),
]
# what is answered with 400 rather than 422 is said in the OpenAPI document only
Query = Annotated[Text, Field(json_schema_extra={"pattern": r"\S"})]
NOT_EMPTY: JsonDict = {"minItems": 1}
TopN = Annotated[int | None, Field(ge=0, description="the best of the list; 0 or absent: all of it")]

UseActivation = Annotated[
    bool | None,
    Field(
        validation_alias=AliasChoices("use_activation", "activation", "softmax"),
        description="vLLM; false: scores as the model gives them",
    ),
]


class Request(BaseModel):
    """A query and what to rank for it. Keys that are not known here are ignored, and null is the same as absent."""

    model_config = ConfigDict(extra="ignore")
    query: Query

    @property
    def wants_raw(self) -> bool:
        """Whether scores are wanted as the model gives them; else between 0 and 1."""
        return False


class TakesActivation(BaseModel):
    """A request that asks for scores as the model gives them in vLLM's way."""

    use_activation: UseActivation = None

    @property
    def wants_raw(self) -> bool:
        return self.use_activation is False


class DocumentObject(BaseModel):
    """A document given as an object, with its text in `text` or in the fields that the request names."""

    model_config = ConfigDict(extra="allow")
    text: Text | None = None


AnyDocument = Annotated[
    Annotated[Text, Tag("text")] | Annotated[DocumentObject, Tag("object")],
    Discriminator(lambda document: "text" if isinstance(document, str) else "object"),
]


class DocumentsRequest(Request):
    """A request whose passages are called documents."""

    documents: list[AnyDocument] = Field(json_schema_extra=NOT_EMPTY)
    model: str | None = None
    rank_fields: list[Text] | None = None
    return_documents: bool | None = None
    _texts: list[str] = PrivateAttr(default_factory=list)

    @model_validator(mode="after")
    def _documents_hold_text(self) -> Self:
        names = self.rank_fields or ["text"]
        self._texts = [_text_of(document, names, position) for position, document in enumerate(self.documents)]
        return self

    @property
    def texts(self) -> list[str]:
        return self._texts


def _text_of(document: str | DocumentObject, names: list[str], position: int) -> str:
    """A string as it is; of an object, the values of the named fields, a line each. Raises ValueError."""
    if isinstance(document, str):
        return document
    fields = {"text": document.text} | (document.model_extra or {})
    values = [fields[name] for name in names if fields.get(name) is not None]
    if not values or not all(isinstance(value, str | int | float) for value in values):
        raise ValueError(f"document {position} has no text in {' or '.join(names)}; say in rank_fields where it is")
    return _whole_characters("\n".join(map(str, values)))


@with_config(EXACT)
class WireDocument(TypedDict):
    text: str


@with_config(EXACT)
class Usage(TypedDict):
    prompt_tokens: int
    total_tokens: int


def best_first(scores: Scores, top_n: int | None) -> list[tuple[int, float]]:
    """(index, score) of the passages that were scored, best first, the earlier of equals first; all of them without
    `top_n`. Ordered by the values, whatever is shown of them."""
    left_out = set(scores.unscored)
    positions = [index for index in range(len(scores.values)) if index not in left_out]
    positions.sort(key=lambda index: (-scores.values[index], index))
    return [(index, _number_at(scores, index)) for index in positions[: top_n or None]]


def _number_at(scores: Scores, index: int) -> float:
    """A score in few digits. OpenSearch takes a number of more than 18 characters for a BigDecimal, and its rerank
    connector then fails."""
    if scores.mapped is None:
        return float(str(scores.values[index]))  # as few digits as tell a number of 32 bits from every other
    score = scores.mapped[index]
    return round(score, 15) if score >= 0.1 else float(f"{score:.9g}")


def usage_of(scores: Scores) -> Usage:
    return Usage(prompt_tokens=scores.tokens, total_tokens=scores.tokens)


def new_id() -> str:
    return str(uuid.uuid4())
