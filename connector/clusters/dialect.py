"""Requests and replies that Elasticsearch and OpenSearch share, as pure functions; what differs is a `Dialect`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import filterfalse, islice
from typing import Any, Protocol

import numpy as np

from connector.backfilled import MARKER_END
from connector.clusters.original_text import names_to_read
from connector.clusters.vector_form import as_bytes, element_of
from connector.filters import And, EngineQuery, Exists, Filter, Not, Or, Range, Scalar, Terms
from connector.layout import TextPlace, VectorField
from connector.schema import AnyFieldType, IndexSchema
from connector.source_filter import SourceFilter
from connector.types import Vector
from connector.values import DATES

JSON = dict[str, Any]
PASSAGES = "passages"
OUR_PASSAGES = (PASSAGES, f"{PASSAGES}.text")  # the nested object of an index of ours, and the texts in it
UNIT, DOCUMENT = "unit", "document"  # a term that every document of ours has, and no passage
DOC_ID = "doc_id"  # its `_id` as a value
NEAREST, MATCHING = "nearest", "matching"  # what inner hits are called
MAX_CLAUSES = 1_000  # OpenSearch takes 1,024 in a query; a word is a clause in each field it is looked for in
WORD = re.compile(r"[\u3040-\u309f\u3400-\u9fff]|[^\W\u3040-\u309f\u3400-\u9fff]+")  # an ideograph is a word
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ViewCalls:
    """How an engine is asked to keep a state of an index, and what it sorts hits of equal scores by where no field of
    ours has their ids; each such field with a value before all others."""

    open: str
    close: str
    name: str
    listed: bool  # whether several are closed at once
    ties: tuple[tuple[str, Any], ...]

    def closing(self, view: str) -> JSON:
        """The body that ends it."""
        return {self.name: [view] if self.listed else view}


class Dialect(Protocol):
    """What differs between the engines: JSON, never behaviour."""

    kind: str
    scale: float  # scores are asked for this many times as large
    views: ViewCalls

    def dense_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int, k: int = 0
    ) -> JSON:
        """The body of a `_search` for the nearest passages' documents; the engine looks for the nearest `k` if that is
        more."""
        ...

    def exact_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON | None:
        """The same by comparing all vectors; None where the kNN search already leaves out what the caller may not see,
        or an alias hides."""
        ...

    def nearest_clause(self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON) -> JSON:
        """A clause of a query that brings along the nearest passage of each of our documents that the filter lets
        through."""
        ...

    def cosine(self, score: float, schema: IndexSchema) -> float:
        """The cosine behind a dense score of this engine; the score itself where that does not tell it.

        Of bits it is that of vectors of 1 and -1."""
        ...

    def read_vector_field(self, field: JSON) -> VectorField | None:
        """What the mapping of a vector field says; None for any other field."""
        ...


def build_filter(
    filter: Filter, types: Mapping[str, AnyFieldType] | None = None, nested: Mapping[str, str] = NONE
) -> JSON:
    """The query of a checked filter. `types` tells which fields are dates: their values are written as instants.

    The engines take "2024-01-15" for the whole day in gt, lte and terms. `nested` names the nested object of a field: a
    document is taken where one of its objects fits."""
    match filter:
        case Terms(name, values) if types and types.get(name) in DATES:
            days = tuple(Range(name, {"gte": value, "lte": value}) for value in values)
            return build_filter(Or(days), types, nested)
        case Range(name, bounds) if types and types.get(name) in DATES:
            instants = {bound: _instant(value) for bound, value in bounds.items()}
            # whatever the format of the field is
            return _within(name, {"range": {name: instants | {"format": "strict_date_optional_time"}}}, nested)
        case Terms(name, values):
            return _within(name, {"terms": {name: list(values)}}, nested)
        case Range(name, bounds):
            return _within(name, {"range": {name: dict(bounds)}}, nested)
        case Exists(name):
            return _within(name, {"exists": {"field": name}}, nested)
        case And(parts):
            return {"bool": {"filter": [build_filter(part, types, nested) for part in parts]}}
        case Or(parts):
            either = [build_filter(part, types, nested) for part in parts]
            return {"bool": {"should": either, "minimum_should_match": 1}}
        case Not(part):
            return {"bool": {"must_not": [build_filter(part, types, nested)]}}
        case EngineQuery(query):
            return dict(query)


def build_index_filter(filter: Filter | None, schema: IndexSchema) -> JSON | None:
    """The query of a checked filter of one index; None where there is no filter."""
    return build_filter(filter, schema.fields.metadata, schema.layout.nested) if filter else None


def match_clause(schema: IndexSchema, query: str, texts: Mapping[str, float] | None = None, **options: Any) -> JSON:
    """Text fields with their boosts, or else all, asked for the words of a query; those in a nested object by its best
    one."""
    paths: dict[str, list[str]] = {}
    for name, boost in (texts or schema.fields.text).items():
        paths.setdefault(schema.layout.nested.get(name, ""), []).append(f"{name}^{boost:g}")
    clauses = []
    if schema.layout.members.names:  # in one of which the field may be of a type that takes no words
        options = options | {"lenient": True}
    for path, fields in paths.items():
        clause = {"multi_match": {"query": query, "fields": fields} | options}
        clauses.append(nested_query(path, clause, score_mode="max") if path else clause)
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses, "minimum_should_match": 1}}


def build_fields(
    schema: IndexSchema,
    doc_ids: Sequence[str],
    source: SourceFilter | None = None,
    *,
    texts: bool = False,
    added: Iterable[str] = (),
) -> JSON:
    """The body of a `_search` for all fields of some documents that are to be shown, as searches see them; with the
    texts of somebody else's index in any case, for its passages. There the marker of a back-fill comes along too, by
    which readers tell what it added and do not show that; `added` is what is known of it.

    A search finds documents of any routing and reads no vectors: OpenSearch 3 works the vectors of a document into its
    source for `_mget`, asked for or not."""
    query = {"bool": {"filter": [any_of(schema, doc_ids)]}}
    body: JSON = {"query": query, "size": len(doc_ids)}
    if schema.managed:
        names = [name for name in (*schema.fields.text, *schema.fields.metadata) if not source or source.may_show(name)]
        return body | {"_source": {"includes": names_to_read(schema, names)} if names else False}
    vectors = [*dict.fromkeys([*schema.layout.vectors, schema.vector_field or "", *added])]
    asked: JSON = {"excludes": vectors}
    if source:
        paths = [path for name in schema.fields.text for path in schema.layout.place(name).source] if texts else []
        asked = {
            "includes": [*source.includes, *paths, f"*{MARKER_END}"] if source.includes else [],
            "excludes": vectors if texts else [*vectors, *filterfalse(_may_hide_marker, source.excludes)],
        }
    return body | ask_texts(schema) | {"_source": asked if schema.layout.has_source else False}


def _may_hide_marker(pattern: str) -> bool:
    """Whether a pattern may leave out the marker of what a back-fill added, and not the rest of that."""
    end = pattern.rpartition("*")[2]
    return pattern != "*" and (end.endswith(MARKER_END) or ("*" in pattern and MARKER_END.endswith(end)))


def ask_texts(schema: IndexSchema) -> JSON:
    """What brings the texts of an index that is not ours along with its hits, from wherever they are kept."""
    return _ask_places([schema.layout.place(name) for name in schema.fields.text])


def _ask_places(places: Sequence[TextPlace]) -> JSON:
    def names(kind: str) -> list[str]:
        return list(dict.fromkeys(name for place in places for name in getattr(place, kind)))

    asked: JSON = {"_source": names("source") or False}
    for kind, option in (("stored", "stored_fields"), ("columns", "docvalue_fields"), ("computed", "fields")):
        if names(kind):
            asked[option] = names(kind)
    return asked


def any_of(schema: IndexSchema, doc_ids: Sequence[str]) -> JSON:
    """The query for documents by what rankings call them."""
    layout = schema.layout
    if not (layout.members.names or layout.routed):
        return {"ids": {"values": list(doc_ids)}}
    groups: dict[tuple[str, str | None], list[str]] = {}
    for address in (layout.address(doc_id, "") for doc_id in doc_ids):
        groups.setdefault((address.index, address.routing), []).append(address.id)
    either = []
    for (index, routing), names in groups.items():
        of: list[JSON] = [{"ids": {"values": names}}]
        of += [{"term": {"_index": index}}] if index else []
        of += [{"term": {"_routing": routing}}] if routing else []
        either.append({"bool": {"filter": of}})
    return {"bool": {"should": either, "minimum_should_match": 1}}


def build_contents(
    dialect: Dialect,
    schema: IndexSchema,
    doc_ids: Sequence[str],
    query: str | None,
    vector: Vector | None,
    source: SourceFilter | None = None,
    added: Iterable[str] = (),
) -> JSON:
    """The same with the passages of our own documents that are nearest to the vector and that match the query best,
    where given."""
    body = build_fields(schema, doc_ids, source, texts=True, added=added)
    (only,) = body["query"]["bool"]["filter"]
    wanted = []
    place = own_passages(schema)
    if query is not None and place:
        wanted.append(matching_passages(first_words(query, MAX_CLAUSES), 1, place))
    if vector is not None and brings_passages(schema) and not schema.layout.members.fitting:
        wanted.append(dialect.nearest_clause(schema, vector, len(doc_ids), only))
    if wanted:
        body["query"]["bool"]["should"] = wanted
    return body


def magnify(body: JSON, scale: float) -> JSON:
    """The body with scores that many times as large."""
    return body if scale == 1 else body | {"query": {"bool": {"must": [body["query"]], "boost": scale}}}


def inner_hits(passages: int, name: str = NEAREST, text: str = OUR_PASSAGES[1]) -> JSON:
    """The best passages that come along with a hit, without reading the document's source."""
    return {"name": name, "size": passages, "_source": False, "stored_fields": [text]}


def own_passages(schema: IndexSchema) -> tuple[str, str] | None:
    """The nested object, and the field in it, that hold the texts of passages of ours; None where there are none."""
    return OUR_PASSAGES if schema.managed else schema.layout.passages


def brings_passages(schema: IndexSchema) -> bool:
    """Whether the vectors lie in nested objects that hold texts too, of which the nearest come along with a hit."""
    return schema.managed or any(map(_is_kept, schema.layout.nested_places.get(schema.vector_path, ())))


def nearest_passages(schema: IndexSchema, passages: int) -> JSON:
    """The inner hits of the nested objects with the nearest vectors: their texts."""
    if schema.managed:
        return inner_hits(passages)
    places = schema.layout.nested_places[schema.vector_path]
    tolerant = {"ignore_unmapped": True} if schema.layout.members.names else {}
    return {"name": NEAREST, "size": passages} | _ask_places(places) | tolerant


def nested_query(path: str, query: JSON, **options: Any) -> JSON:
    """A query of nested objects; of several indices, those without them have nothing to find."""
    return {"nested": {"path": path, "query": query, "ignore_unmapped": True} | options}


def _is_kept(place: TextPlace) -> bool:
    return bool(place.source or place.stored or place.columns or place.computed)


def hits_only(schema: IndexSchema, depth: int, passages: int) -> JSON:
    """What a leg asks of each hit: nothing but its id where passages come along or none are asked for, else the text
    that is its passage.

    The engines store `_id` with the whole document, and unpack that to read it: for 100 hits of documents with vectors
    that takes longer than all else in a leg. So documents of ours have it as a value too, which is kept in a column
    (bench-path)."""
    asked: JSON = {"size": depth, "track_total_hits": False}
    if schema.managed and schema.keeps_ids:
        return asked | {"stored_fields": "_none_", "docvalue_fields": [DOC_ID]}
    return asked | ({"_source": False} if schema.managed or not passages else ask_texts(schema))


def with_stored_ids(body: JSON) -> JSON:
    """The body of a leg, asking for `_id` where it asked for the value."""
    kept = {key: value for key, value in body.items() if key not in ("stored_fields", "docvalue_fields")}
    return kept | {"_source": False}


def build_count(schema: IndexSchema, filter_query: JSON | None, limit: int) -> JSON:
    """The body of a `_search` that counts the documents with a vector, up to a limit."""
    filters = [has_vector(schema), filter_query] if filter_query else [has_vector(schema)]
    return {"query": {"bool": {"filter": filters}}, "size": 0, "track_total_hits": limit}


def has_vector(schema: IndexSchema) -> JSON:
    """The query for the documents that have a vector."""
    if schema.managed:
        return {"nested": {"path": PASSAGES, "query": {"match_all": {}}}}
    name = schema.vector_field or ""
    return _within(name, {"exists": {"field": name}}, schema.layout.nested)


def build_fitting(schema: IndexSchema) -> JSON | None:
    """The query for the documents of those indices that can be asked by the vectors, where that is not all of them.

    An engine gives nothing at all where the vectors of one index have other dimensions. It leaves an index out that
    a term on `_index` leaves out, but only where that stands beside the query (see `only_fitting`)."""
    fitting = schema.layout.members.fitting.get(schema.vector_field or "")
    return {"terms": {"_index": list(fitting)}} if fitting else None


def only_fitting(schema: IndexSchema, query: JSON) -> JSON:
    """The query, sent to those indices alone that can be asked by the vectors."""
    fitting = build_fitting(schema)
    return {"bool": {"must": [query], "filter": [fitting]}} if fitting else query


def vector_values(schema: IndexSchema, vector: Vector) -> list[float] | list[int]:
    """The vector of a query as the index's field takes it: bytes keep its direction, which cosine and dot product go
    by, and bits keep the sign of each component, eight of them in a byte."""
    element = element_of(schema)
    if element == "bit":
        packed: list[int] = np.packbits(vector > 0).view(np.int8).tolist()
        return packed
    if element == "byte":
        whole: list[int] = as_bytes(vector).tolist()
        return whole
    values: list[float] = vector.tolist()
    return values


def _within(name: str, query: JSON, nested: Mapping[str, str]) -> JSON:
    """The query as one of the nested object that the field is in."""
    return nested_query(nested[name], query) if name in nested else query


def matching_passages(query: str, passages: int, place: tuple[str, str] = OUR_PASSAGES) -> JSON:
    """A clause that adds nothing to a score, for the passages that match the query best, or else the first ones.

    A document may have been found by its title, while none of its passages has a word of the query."""
    path, text = place
    any_passage = {"constant_score": {"filter": {"match_all": {}}, "boost": 0}}
    best = {"bool": {"should": [{"match": {text: query}}, any_passage]}}
    brought = inner_hits(passages, MATCHING, text) | {"ignore_unmapped": True}
    return nested_query(path, best, score_mode="max", boost=0, inner_hits=brought)


def first_words(text: str, count: int) -> str:
    """The text up to the end of its `count`-th word."""
    end = next((match.end() for match in islice(WORD.finditer(text), count - 1, None)), len(text))
    return text[:end]


def _instant(value: Scalar) -> str:
    """A date as the settings' types spell it, with its time."""
    return str(value) if "T" in str(value) else f"{value}T00:00:00.000Z"
