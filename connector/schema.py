"""What an index holds: text fields with boosts, typed metadata, vectors and the encoder that made them."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, get_args

from connector.errors import DocumentError, SettingsError
from connector.layout import FIELD_TYPES as FIELD_TYPES
from connector.layout import AnyFieldType as AnyFieldType
from connector.layout import FieldType as FieldType
from connector.layout import Layout

RESERVED_FIELDS = frozenset({"passages", "content_hash", "unit", "doc_id", "vectors", "original_text"})
WORDS_SUFFIX = "--words"  # of the column that the embedded store keeps beside a text field
MAX_KEYWORD_BYTES = 32_766  # Lucene's limit for one term
META_VERSION = 1
OURS = Layout()  # nothing is particular about an index of ours
EPOCH_DIGITS = re.compile(r"[+-]?\d{9,}(\.\d+)?")
# up to which size a number counts in so many parts of a second; each ends in the year 5138
EPOCH_UNITS = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000))
JANUARY_1970_S = 31 * 86_400
SECOND_DIGITS = re.compile(r":\d\d[.,](\d{4,9})")  # more than milliseconds


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
        said = "".join(f", {prompt!r} before {texts}" for texts, prompt in prompts.items() if prompt)
        pooled = "" if self.pooling == "mean" else f", pooling by {self.pooling or 'a module of its own'}"
        return f"{self.name}@{self.sha256[:12] or 'unknown'} ({self.dims} dims{pooled}{said})"

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


class JanuaryOf1970(ValueError):
    """A number that was taken for a date and is too small to be one."""


def is_field_name(name: str) -> bool:
    """Whether an index of ours can have a field of that name: every engine must take it as it is."""
    if not name.strip() or name in RESERVED_FIELDS or name.endswith(WORDS_SUFFIX):
        return False
    return name[0] != "_" and not set(name) & set(".`*^")


def check_value(name: str, kind: AnyFieldType, value: Any) -> Any:
    """The value as it is written to the cluster; raises DocumentError where it does not fit its type."""
    if isinstance(value, list | tuple) and kind not in ("keyword[]", "stored"):
        if len(value) > 1:
            raise DocumentError(f"field {name!r} is a {kind} but holds {len(value)} values (use keyword[] for lists)")
        value = value[0] if value else None
    if value is None or value == "" or value == []:
        return None
    if kind in ("stored", "engine"):
        return _stored(name, value)
    if kind == "keyword[]":
        values = value if isinstance(value, list | tuple) else [value]
        return [_keyword(name, each) for each in values if each is not None] or None
    return _CHECKS[kind](name, value)


def to_instant(value: Any) -> dt.datetime:
    """A date, datetime, ISO 8601 text or a number as an aware UTC datetime; raises ValueError.

    Partial dates start their period: "2024" is 2024-01-01T00:00:00Z. A time without a zone is UTC.
    A number is a year (2024), a day (20240131), or time since 1970 whose unit its size tells: seconds up to 11 digits,
    then milliseconds, microseconds, nanoseconds. What would lie in January 1970 is none of these."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a date")
    if isinstance(value, int | float):
        moment = _from_number(value)
    elif isinstance(value, dt.datetime):
        moment = value
    elif isinstance(value, dt.date):
        moment = dt.datetime(value.year, value.month, value.day)
    else:
        text = str(value).strip()
        if EPOCH_DIGITS.fullmatch(text):
            return to_instant(float(text) if "." in text else int(text))
        if len(text) == 4:
            text += "-01-01"
        elif len(text) == 7:
            text += "-01"
        moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    moment = moment.astimezone(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _from_number(value: float) -> dt.datetime:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a date")
    if value == int(value) and 1_000 <= value <= 2_999:
        return dt.datetime(int(value), 1, 1)
    if value == int(value) and 19_000_101 <= value <= 29_991_231:
        return dt.datetime.strptime(str(int(value)), "%Y%m%d")
    per_second = next((count for limit, count in EPOCH_UNITS if abs(value) < limit), None)
    if per_second is None:
        raise ValueError(f"{value} is too far away")
    if abs(value / per_second) < JANUARY_1970_S:
        raise JanuaryOf1970(f"{value} would be a moment in January 1970")
    return dt.datetime.fromtimestamp(value / per_second, tz=dt.UTC)


def to_iso(moment: dt.datetime) -> str:
    """The one spelling of an instant in a cluster: a plain date at midnight, else milliseconds and Z."""
    if (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0):
        return moment.date().isoformat()  # strftime does not pad years before 1000
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _stored(name: str, value: Any) -> Any:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DocumentError(f"field {name!r} is stored as JSON, which its value is not: {error}") from None
    return value


def _keyword(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise DocumentError(f"field {name!r} is a keyword but holds {type(value).__name__}")
    text = str(value)
    if len(text.encode()) > MAX_KEYWORD_BYTES:
        raise DocumentError(
            f"field {name!r} is a keyword of {len(text.encode())} bytes; at most {MAX_KEYWORD_BYTES} fit"
        )
    return text


def _integer(name: str, value: Any) -> int:
    try:
        number = _read_number(value) if isinstance(value, str) and not value.strip().lstrip("+-").isdigit() else value
        whole = int(number)
        if isinstance(value, bool) or whole != (number if not isinstance(number, str) else whole):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise DocumentError(f"field {name!r} is an integer but holds {value!r}") from None
    if not -(2**63) <= whole < 2**63:
        raise DocumentError(f"field {name!r} holds {value!r}, which does not fit 64 bits")
    return whole


def _read_number(value: Any) -> float:
    """Raises ValueError for what only Python takes for a number, too: 1_000."""
    if isinstance(value, str) and "_" in value:
        raise ValueError
    return float(value)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = _read_number(value)
    except (TypeError, ValueError, OverflowError):
        raise DocumentError(f"field {name!r} is a number but holds {value!r}") from None
    if not math.isfinite(number):
        raise DocumentError(f"field {name!r} holds {value!r}, which is not a finite number")
    return number


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return text == "true"
    raise DocumentError(f"field {name!r} is a boolean but holds {value!r}; write true or false")


def _date(name: str, value: Any, *, spell: Callable[[Any], str]) -> str:
    try:
        return spell(value)
    except (ValueError, OverflowError, OSError) as error:
        doubt = ", which would be a moment in January 1970" if isinstance(error, JanuaryOf1970) else ""
        raise DocumentError(
            f"field {name!r} is a date but holds {value!r}{doubt}; write ISO 8601, for example 2024-01-31 or "
            "2024-01-31T12:00:00Z, or seconds or milliseconds since 1970"
        ) from None


def to_nanos(value: Any) -> str:
    """The spelling of an instant with as many digits of a second as were given, nine at most; raises ValueError."""
    moment, digits = to_instant(value), SECOND_DIGITS.search(str(value))
    if digits is None:
        return to_iso(moment)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}.{digits[1]}Z"


# the types of dates, each with the spelling of an instant in a filter
DATES: Mapping[str, Callable[[Any], str]] = {"date": lambda value: to_iso(to_instant(value)), "date_nanos": to_nanos}
_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "keyword": _keyword,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": partial(_date, spell=DATES["date"]),
    "date_nanos": partial(_date, spell=to_nanos),
}
