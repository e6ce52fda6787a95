"""Requests and replies that Elasticsearch and OpenSearch share, as pure functions; what differs is a `Dialect`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import orjson

from connector.clusters.failures import explain_block, explain_denial, explain_reason, is_block, is_denial
from connector.clusters.original_text import names_to_read, to_indexed, to_original
from connector.clusters.protocol import ordered
from connector.errors import AccessDenied, ClusterUnavailable
from connector.filters import And, Exists, Filter, Not, Or, Range, Scalar, Terms
from connector.schema import FieldType, IndexSchema
from connector.types import (
    Hit,
    HitContent,
    IndexedDocument,
    Passage,
    Ranking,
    TermFrequency,
    TermStatistics,
    Vector,
    WriteOutcome,
)

JSON = dict[str, Any]
PASSAGES = "passages"
UNIT, DOCUMENT = "unit", "document"  # a term that every document of ours has, and no passage
DOC_ID = "doc_id"  # its `_id` as a value
NEAREST, MATCHING = "nearest", "matching"  # what inner hits are called
MAX_CLAUSES = 1_000  # OpenSearch takes 1,024 in a query; a word is a clause in each field it is looked for in
WORD = re.compile(r"[\u3040-\u309f\u3400-\u9fff]|[^\W\u3040-\u309f\u3400-\u9fff]+")  # an ideograph is a word
COUNTED_WORD = re.compile(r"\w+(?:['’.]\w+)*")  # about what the standard tokenizer takes for one
MAX_COUNTED_WORDS = 100
RETRYABLE_STATUS = frozenset({429, 502, 503, 504})


class Dialect(Protocol):
    """What differs between the engines: JSON, never behaviour."""

    kind: str
    scale: float  # scores are asked for this many times as large

    def dense_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int, k: int = 0
    ) -> JSON:
        """The body of a `_search` for the nearest passages' documents; the engine looks for the nearest `k` if that is more."""
        ...

    def exact_body(
        self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON | None, passages: int
    ) -> JSON | None:
        """The same by comparing all vectors; None where the kNN search already leaves out what the caller may not see."""
        ...

    def nearest_clause(self, schema: IndexSchema, vector: Vector, depth: int, filter_query: JSON) -> JSON:
        """A clause of a query that brings along the nearest passage of each of our documents that the filter lets through."""
        ...

    def cosine(self, score: float, similarity: str) -> float:
        """The cosine behind a dense score of this engine; the score itself for another similarity."""
        ...

    def read_vector_field(self, field: JSON) -> tuple[int, str] | None:
        """(dims, similarity) of a vector field's mapping, or None for any other field."""
        ...


def build_filter(found: Filter, types: Mapping[str, FieldType] | None = None) -> JSON:
    """The query of a checked filter. `types` tells which fields are dates: their values are written as instants.

    The engines take "2024-01-15" for the whole day in gt, lte and terms."""
    match found:
        case Terms(name, values) if types and types.get(name) == "date":
            return build_filter(Or(tuple(Range(name, {"gte": value, "lte": value}) for value in values)), types)
        case Range(name, bounds) if types and types.get(name) == "date":
            instants = {bound: _instant(value) for bound, value in bounds.items()}
            return {"range": {name: instants | {"format": "strict_date_optional_time"}}}  # whatever the field's own is
        case Terms(name, values):
            return {"terms": {name: list(values)}}
        case Range(name, bounds):
            return {"range": {name: dict(bounds)}}
        case Exists(name):
            return {"exists": {"field": name}}
        case And(parts):
            return {"bool": {"filter": [build_filter(part, types) for part in parts]}}
        case Or(parts):
            return {"bool": {"should": [build_filter(part, types) for part in parts], "minimum_should_match": 1}}
        case Not(part):
            return {"bool": {"must_not": [build_filter(part, types)]}}


def build_lexical(schema: IndexSchema, query: str, depth: int, found: Filter | None, passages: int = 1) -> JSON:
    """BM25 over the text fields, summed with their boosts; passages that match best come along without a say.

    A query is cut after as many words as every engine takes (333 over two text fields)."""
    fields = [f"{name}^{boost:g}" for name, boost in schema.fields.text.items()]
    query = _first_words(query, MAX_CLAUSES // (len(fields) + schema.managed))
    bool_query: JSON = {"must": [{"multi_match": {"query": query, "fields": fields, "type": "most_fields"}}]}
    if schema.managed and passages:
        bool_query["should"] = [_matching_passages(query, passages)]
    if found:
        bool_query["filter"] = [build_filter(found, schema.fields.metadata)]
    return {"query": {"bool": bool_query}} | hits_only(schema, depth, passages)


def build_fields(schema: IndexSchema, doc_ids: Sequence[str]) -> JSON:
    """The body of a `_search` for all fields of some documents, as searches see them.

    A search finds documents of any routing and reads no vectors: OpenSearch 3 works the vectors of a document into its
    source for `_mget`, asked for or not."""
    source: JSON = {"excludes": [schema.vector_field] if schema.vector_field else []}
    if schema.managed:
        source = {"includes": names_to_read(schema, [*schema.fields.text, *schema.fields.metadata])}
    query = {"bool": {"filter": [{"ids": {"values": list(doc_ids)}}]}}
    return {"query": query, "size": len(doc_ids), "_source": source}


def build_shown(
    dialect: Dialect, schema: IndexSchema, doc_ids: Sequence[str], query: str | None, vector: Vector | None
) -> JSON:
    """The same with the passages of our own documents that are nearest to the vector and that match the query best, where given."""
    body = build_fields(schema, doc_ids)
    if not schema.managed:
        return body
    (only,) = body["query"]["bool"]["filter"]
    wanted = [] if query is None else [_matching_passages(_first_words(query, MAX_CLAUSES), 1)]
    if vector is not None:
        wanted.append(dialect.nearest_clause(schema, vector, len(doc_ids), only))
    body["query"]["bool"]["should"] = wanted
    return body


def read_shown(reply: JSON, schema: IndexSchema) -> dict[str, HitContent]:
    """What each hit of the reply shows of its document."""
    shown = {}
    for hit in reply["hits"]["hits"]:
        if schema.managed:
            nearest, matching = _inner_passages(hit, NEAREST), _inner_passages(hit, MATCHING)
        else:
            nearest = matching = _read_passages(hit, schema)
        fields = to_original(hit["_source"], schema)
        shown[hit["_id"]] = HitContent(fields, next(iter(nearest), None), next(iter(matching), None))
    return shown


def magnify(body: JSON, scale: float) -> JSON:
    """The body with scores that many times as large."""
    return body if scale == 1 else body | {"query": {"bool": {"must": [body["query"]], "boost": scale}}}


def inner_hits(passages: int, name: str = NEAREST) -> JSON:
    """The best passages that come along with a hit, without reading the document's source."""
    return {"name": name, "size": passages, "_source": False, "stored_fields": ["passages.text"]}


def hits_only(schema: IndexSchema, depth: int, passages: int) -> JSON:
    """What a leg asks of each hit: nothing but its id where passages come along or none are asked for, else the text that
    is its passage.

    The engines store `_id` with the whole document, and unpack that to read it: for 100 hits of documents with vectors that takes
    longer than all else in a leg. So documents of ours have it as a value too, which is kept in a column (bench-path)."""
    asked: JSON = {"size": depth, "track_total_hits": False}
    if schema.managed and schema.keeps_ids:
        return asked | {"stored_fields": "_none_", "docvalue_fields": [DOC_ID]}
    return asked | {"_source": False if schema.managed or not passages else list(schema.fields.text)}


def with_stored_ids(body: JSON) -> JSON:
    """The body of a leg, asking for `_id` where it asked for the value."""
    kept = {key: value for key, value in body.items() if key not in ("stored_fields", "docvalue_fields")}
    return kept | {"_source": False}


def has_ids(reply: JSON) -> bool:
    """Whether each hit has its id: documents that others wrote have no `doc_id`, nor do callers see it who may not read that field."""
    return all("_id" in hit or DOC_ID in hit.get("fields", ()) for hit in reply["hits"]["hits"])


def read_hits(reply: JSON, schema: IndexSchema, depth: int, scale: float = 1.0) -> Ranking:
    """The ranking in a `_search` reply; each hit with its best passage."""
    hits = reply["hits"]["hits"]
    return ordered((Hit(_doc_id(hit), hit["_score"] / scale, _read_passages(hit, schema)) for hit in hits), depth)


def build_count(schema: IndexSchema, filter_query: JSON | None, limit: int) -> JSON:
    """The body of a `_search` that counts the documents with a vector, up to a limit."""
    searched: JSON = {"exists": {"field": schema.vector_field}}
    if schema.managed:
        searched = {"nested": {"path": PASSAGES, "query": {"match_all": {}}}}
    filters = [searched, filter_query] if filter_query else [searched]
    return {"query": {"bool": {"filter": filters}}, "size": 0, "track_total_hits": limit}


def build_bulk(index: str, documents: Sequence[IndexedDocument], schema: IndexSchema) -> list[bytes]:
    """The two NDJSON lines of each document, as one piece: it replaces whatever had its id."""
    return [
        b"%b\n%b\n"
        % (
            orjson.dumps({"index": {"_index": index, "_id": one.document.doc_id}}),
            build_source(one, schema),
        )
        for one in documents
    ]


def build_removal(index: str, doc_ids: Sequence[str]) -> list[bytes]:
    """The NDJSON line that deletes each document."""
    return [orjson.dumps({"delete": {"_index": index, "_id": doc_id}}) + b"\n" for doc_id in doc_ids]


def build_source(one: IndexedDocument, schema: IndexSchema) -> bytes:
    """A document as the engines store it: its fields, its content hash, its id, its passages nested with their vectors."""
    passages = [
        {"ordinal": passage.ordinal, "text": passage.text, "vector": vector}
        for passage, vector in zip(one.passages, one.vectors, strict=True)
    ]
    source = to_indexed(one.document.fields, schema)
    source |= {"content_hash": one.content_hash, UNIT: DOCUMENT, PASSAGES: passages}
    if schema.keeps_ids:
        source[DOC_ID] = one.document.doc_id
    return orjson.dumps(source, option=orjson.OPT_SERIALIZE_NUMPY)


def read_fates(reply: JSON, doc_ids: Sequence[str]) -> list[WriteOutcome]:
    """One fate for each action of a bulk reply, in order.

    Raises ClusterUnavailable for half a reply, and where the index takes no writes at all: that is no document's fault;
    and AccessDenied where the credentials may not write, which OpenSearch says of each document with HTTP 200."""
    items = reply.get("items")
    if not isinstance(items, list) or len(items) != len(doc_ids):
        raise ClusterUnavailable("the reply to a bulk request does not fit what was sent; is a proxy in between?")
    fates = []
    for doc_id, item in zip(doc_ids, items, strict=True):
        (result,) = item.values()
        status = result["status"]
        error = result.get("error")
        if is_block(error):
            raise ClusterUnavailable(explain_block(error, status), status=status)
        if is_denial(error):
            reason = explain_reason(error, status)
            raise AccessDenied(explain_denial(reason, index=result.get("_index", "")) or reason, status=status)
        if status < 300 or (status == 404 and "delete" in item):
            fates.append(WriteOutcome(doc_id))
        else:
            fates.append(WriteOutcome(doc_id, explain_reason(error, status), retryable=status in RETRYABLE_STATUS))
    return fates


def build_term_statistics(schema: IndexSchema, text: str) -> JSON:
    """The body of `_termvectors` that analyzes `text` as each text field does and looks its terms up."""
    names = list(schema.fields.text)
    return {
        "doc": dict.fromkeys(names, text),
        "fields": names,
        "term_statistics": True,
        "field_statistics": True,
        "positions": False,
        "payloads": False,
    }


def read_term_statistics(reply: JSON) -> TermStatistics:
    """Each term of the text with the largest document frequency that any text field gives it."""
    documents = 0
    frequencies: dict[tuple[int, int], int] = {}
    for field in reply.get("term_vectors", {}).values():
        documents = max(documents, field.get("field_statistics", {}).get("doc_count", 0))
        for term in field["terms"].values():
            for token in term.get("tokens", ()):
                span = (token["start_offset"], token["end_offset"])
                frequencies[span] = max(frequencies.get(span, 0), term.get("doc_freq", 0))
    return TermStatistics(documents, tuple(TermFrequency(*span, count) for span, count in sorted(frequencies.items())))


def find_words(text: str) -> list[tuple[int, int, str]]:
    """(start, end, word) of a text's words, as many distinct ones as are counted in one request."""
    words = [(*match.span(), match.group().lower()) for match in COUNTED_WORD.finditer(text)]
    counted = set(list(dict.fromkeys(word for _, _, word in words))[:MAX_COUNTED_WORDS])
    return [one for one in words if one[2] in counted]


def build_word_counts(schema: IndexSchema, words: Sequence[str]) -> JSON:
    """The body of a `_search` that counts the documents with each word, among those that the caller may see.

    `_termvectors` counts all documents, whoever asks (seen on both engines). A stop word is in every document here."""
    like: JSON = {"fields": list(schema.fields.text), "operator": "and", "zero_terms_query": "all"}
    filters = [{"multi_match": {"query": word} | like} for word in words]
    return {
        "query": {"match_all": {}},
        "size": 0,
        "track_total_hits": True,
        "aggs": {"words": {"filters": {"filters": filters}}},
    }


def read_word_counts(reply: JSON, words: Sequence[str]) -> tuple[int, dict[str, int]]:
    """How many documents there are, and how many have each word; words that all have are left out, as stop words are."""
    documents = int(reply["hits"]["total"]["value"])
    buckets = reply["aggregations"]["words"]["buckets"]
    counts = {word: int(bucket["doc_count"]) for word, bucket in zip(words, buckets, strict=True)}
    return documents, {word: count for word, count in counts.items() if count < documents}


def in_characters(statistics: TermStatistics, text: str) -> TermStatistics:
    """The same with spans in characters of `text`: the engines count UTF-16 units, in which an emoji is two."""
    starts = [0]
    for character in text:
        starts.append(starts[-1] + (2 if character > "\uffff" else 1))
    position = {units: at for at, units in enumerate(starts)}
    terms = (TermFrequency(position[one.start], position[one.end], one.frequency) for one in statistics.terms)
    return TermStatistics(statistics.documents, tuple(terms))


def _matching_passages(query: str, passages: int) -> JSON:
    """A clause that adds nothing to a score, for the passages that match the query best."""
    matching = {"path": PASSAGES, "query": {"match": {"passages.text": query}}, "score_mode": "max", "boost": 0}
    return {"nested": matching | {"inner_hits": inner_hits(passages, MATCHING)}}


def _instant(value: Scalar) -> str:
    """A date as the settings' types spell it, with its time."""
    return str(value) if "T" in str(value) else f"{value}T00:00:00.000Z"


def _first_words(text: str, count: int) -> str:
    """The text up to the end of its `count`-th word."""
    end = next((match.end() for match in islice(WORD.finditer(text), count - 1, None)), len(text))
    return text[:end]


def _read_passages(hit: JSON, schema: IndexSchema) -> tuple[Passage, ...]:
    if not schema.managed:
        source = hit.get("_source", {})
        parts = [_text_at(source, name) for name in schema.fields.text]
        text = "\n".join(part for part in parts if part)
        return (Passage(_doc_id(hit), 0, text),) if text else ()
    return _inner_passages(hit, NEAREST) or _inner_passages(hit, MATCHING)


def _inner_passages(hit: JSON, name: str) -> tuple[Passage, ...]:
    if "inner_hits" not in hit:
        return ()
    inner = hit["inner_hits"].get(name, {}).get("hits", {}).get("hits", [])
    texts = ((one["_nested"]["offset"], one.get("fields", {}).get("passages.text")) for one in inner)
    return tuple(Passage(_doc_id(hit), at, text[0]) for at, text in texts if text)  # field-level security may hide them


def _doc_id(hit: JSON) -> str:
    found: str = hit["_id"] if "_id" in hit else hit["fields"][DOC_ID][0]
    return found


def _text_at(source: Any, name: str) -> str:
    """The text at a dotted path of a document's source; lists are joined."""
    for key in name.split("."):
        source = source.get(key, "") if isinstance(source, Mapping) else ""
    return "\n".join(map(str, source)) if isinstance(source, list) else str(source or "")
