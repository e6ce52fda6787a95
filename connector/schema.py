"""What an index holds: text fields with boosts, typed metadata, vectors and the encoder that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

from connector.errors import SettingsError
from connector.layout import FIELD_TYPES as FIELD_TYPES
from connector.layout import AnyFieldType as AnyFieldType
from connector.layout import FieldType as FieldType
from connector.layout import Layout

RESERVED_FIELDS = frozenset({"passages", "content_hash", "unit", "doc_id", "vectors", "original_text"})
WORDS_SUFFIX = "--words"  # of the column that the embedded store keeps beside a text field
META_VERSION = 1
OURS = Layout()  # nothing is particular about an index of ours


@dataclass(frozen=True, slots=True)
class Fields:
    """How a source's rows become documents: the id, the text fields with their boosts, the typed metadata.

    `columns` maps a field to its column in the source, where that has a name that no field can have."""

    text: Mapping[str, float]
    metadata: Mapping[str, AnyFieldType] = field(default_factory=dict)
    id: str = "_id"
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.text:
            raise SettingsError("no text field is named; set fields.text, for example: {title: 2.0, text: 1.0}")
        for name, boost in self.text.items():
            if not boost > 0:
                raise SettingsError(f"boost of text field {name!r} is {boost}; it must be above 0")
        for name, kind in self.metadata.items():
            if kind not in get_args(AnyFieldType):
                raise SettingsError(
                    f"metadata field {name!r} has type {kind!r}; choose one of {', '.join(FIELD_TYPES)}"
                )
        both = sorted(set(self.text) & set(self.metadata))
        if both:
            raise SettingsError(f"{both[0]!r} is named as text and as metadata; keep one of the two")

    def column(self, name: str) -> str:
        """The column of the source that a field is filled from."""
        return self.columns.get(name, name)

    def check_names(self) -> None:
        """Refuse what cannot be the name of a field in an index of ours; raises SettingsError."""
        for name in [*self.text, *self.metadata]:
            if not is_field_name(name):
                raise SettingsError(
                    f"a field cannot be called {name!r} (reserved, empty, starting with '_', or with one of . ` * ^ "
                    "in it); "
                    "rename it in the source"
                )


@dataclass(frozen=True, slots=True)
class PassageSettings:
    """How long documents are cut: at most `max_tokens` of the encoder (0: all it takes), with an overlap."""

    max_tokens: int
    overlap_tokens: int


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """How vectors are indexed: `index` is a name from the engine's mapping template, or `auto`; `element` is what a
    component is written as, which the choice says: float, bfloat16 or byte."""

    index: str
    m: int
    ef_construction: int
    element: str = "float"


@dataclass(frozen=True, slots=True)
class EncoderFingerprint:
    """What identifies an encoder's output: name, hash of its weights, dimensions, longest input, normalisation, what
    goes before a text, and how the vectors of its tokens become one. Passages that were encoded with other prompts, or
    pooled in another way, do not fit the queries."""

    name: str
    sha256: str
    dims: int
    max_tokens: int
    normalised: bool = True
    query_prompt: str = ""
    passage_prompt: str = ""
    pooling: str = "mean"

    def __str__(self) -> str:
        prompts = {"queries": self.query_prompt, "passages": self.passage_prompt}
        prompted = "".join(f", {prompt!r} before {texts}" for texts, prompt in prompts.items() if prompt)
        pooled = "" if self.pooling == "mean" else f", pooling by {self.pooling or 'a module of its own'}"
        return f"{self.name}@{self.sha256[:12] or 'unknown'} ({self.dims} dims{pooled}{prompted})"

    def same_vectors(self, other: EncoderFingerprint) -> bool:
        """Whether both make the same vectors. The name is for people: a copy under another name is the same encoder."""
        return replace(self, name="") == replace(other, name="")


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """Everything the code must know of an index.

    `managed` is False for an index that somebody else made. Nothing is written to it but what a back-fill adds.
    """

    fields: Fields
    encoder: EncoderFingerprint | None
    analyzer: str
    passages: PassageSettings
    vectors: VectorSettings
    managed: bool = True
    vector_field: str | None = "passages.vector"
    dims: int = 0
    similarity: str = "cosine"
    keeps_ids: bool = True  # each document of ours has its id in `doc_id` too: see hits_only in clusters/dialect.py
    keeps_original_text: bool = True  # texts are indexed in one spelling: see clusters/original_text.py
    encoders: Mapping[str, EncoderFingerprint] = field(default_factory=dict)  # of vector fields that we added
    layout: Layout = OURS  # what is particular about an index that is not ours
    alternatives: tuple[IndexSchema, ...] = ()  # of the same index by other encoders, while it changes the encoder

    @property
    def vector_path(self) -> str:
        """The nested object that the vectors are in; empty where they are the document's own."""
        if self.managed:
            return "passages"
        return self.layout.nested.get(self.vector_field or "", "")

    def searched_by(self, field: str | None) -> IndexSchema:
        """The schema for a dense leg over that vector field; None: the index's own. Raises SettingsError where there is
        no such field."""
        if field is None or field == self.vector_field:
            return self
        vector = self.layout.vector_fields.get(field)
        if vector is None:
            has = ", ".join(sorted(self.layout.vector_fields)) or self.vector_field or "none"
            raise SettingsError(f"the index has no vector field {field!r}; it has: {has}")
        layout = replace(self.layout, vector=vector)
        found = replace(self, vector_field=field, encoder=self.encoders.get(field), layout=layout)
        return replace(found, dims=vector.dims, similarity=vector.similarity)

    @property
    def why_no_text(self) -> str:
        """Why no text of any document can be had, so that nothing can be reranked; empty where it can."""
        places = [self.layout.place(name) for name in self.fields.text]
        if self.managed or any(place.source or place.stored or place.columns or place.computed for place in places):
            return ""
        return "; ".join(dict.fromkeys(place.why_not for place in places))

    @property
    def why_no_dense(self) -> str:
        """Why the vectors cannot be searched; empty where they can."""
        vector, name = self.layout.vector, self.vector_field
        if vector is None:
            return ""
        if not vector.indexed:
            return (
                f"the vectors of field {name!r} are kept but not indexed (index: false), so no kNN search finds "
                "them; name an "
                "indexed field in index.vector_field, or reindex"
            )
        if vector.element == "byte" and vector.similarity in ("l2", "l2_norm"):
            return (
                f"field {name!r} holds vectors of bytes compared by {vector.similarity}, for which a query must be "
                "scaled as "
                "they were; use a field compared by cosine or dot product"
            )
        return ""

    def to_meta(self) -> dict[str, Any]:
        """The `_meta` object of an index of ours."""
        return {
            "connector": {
                "version": META_VERSION,
                "encoder": asdict(self.encoder) if self.encoder else None,
                "fields": {
                    "text": [list(pair) for pair in self.fields.text.items()],  # the engines keep no order of keys
                    "metadata": dict(self.fields.metadata),
                    "id": self.fields.id,
                    "columns": dict(self.fields.columns),
                },
                "analyzer": self.analyzer,
                "passages": asdict(self.passages),
                "vectors": asdict(self.vectors),
                "keeps_ids": self.keeps_ids,
                "keeps_original_text": self.keeps_original_text,
            }
        }

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> IndexSchema | None:
        """The schema in an index's `_meta`, or None where the index is not ours."""
        ours = meta.get("connector")
        if not isinstance(ours, Mapping):
            return None
        if ours.get("version") != META_VERSION:
            raise SettingsError(
                f"the index was made by another version of the connector (_meta version {ours.get('version')}, this "
                f"one reads {META_VERSION}); ingest into a new index"
            )
        encoder = EncoderFingerprint(**ours["encoder"])
        return cls(
            fields=Fields(**ours["fields"] | {"text": dict(ours["fields"]["text"])}),
            encoder=encoder,
            analyzer=ours["analyzer"],
            passages=PassageSettings(**ours["passages"]),
            vectors=VectorSettings(**ours["vectors"]),
            dims=encoder.dims,
            keeps_ids=bool(ours.get("keeps_ids")),
            keeps_original_text=bool(ours.get("keeps_original_text")),
        )


def is_field_name(name: str) -> bool:
    """Whether an index of ours can have a field of that name: every engine must take it as it is."""
    if not name.strip() or name in RESERVED_FIELDS or name.endswith(WORDS_SUFFIX):
        return False
    return name[0] != "_" and not set(name) & set(".`*^")
