"""Replies of the engines, read: rankings, fields, and the text of each document wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connector.backfilled import find_added
from connector.clusters.dialect import DOC_ID, JSON, MATCHING, NEAREST
from connector.clusters.original_text import to_original
from connector.clusters.protocol import ordered
from connector.layout import TextPlace
from connector.schema import IndexSchema
from connector.source_filter import SourceFilter
from connector.types import Hit, HitContent, Passage, Ranking

MIN_VECTOR_DIMS = 64  # a list of so many numbers is taken for an embedding


def read_contents(reply: JSON, schema: IndexSchema, source: SourceFilter | None = None) -> dict[str, HitContent]:
    """What each hit of the reply shows of its document."""
    contents = {}
    for hit in reply["hits"]["hits"]:
        if schema.managed:
            nearest, matching = _inner_passages(hit, NEAREST, schema), _inner_passages(hit, MATCHING, schema)
        else:
            nearest = _inner_texts(hit, schema, NEAREST) or _whole_text(hit, schema)
            matching = _inner_texts(hit, schema, MATCHING) or _whole_text(hit, schema)
        contents[read_doc_id(hit, schema)] = HitContent(
            read_fields(hit, schema, source), next(iter(nearest), None), next(iter(matching), None)
        )
    return contents


def added_to(reply: JSON, schema: IndexSchema) -> set[str]:
    """The fields that a back-fill added to the documents of somebody else's index, as far as the reply has any."""
    if schema.managed:
        return set()
    return set[str]().union(*(find_added(hit.get("_source", {})) for hit in reply["hits"]["hits"]))


def has_ids(reply: JSON) -> bool:
    """Whether each hit has its id: documents that others wrote have no `doc_id`, nor do callers see it who may not read
    that field."""
    return all("_id" in hit or DOC_ID in hit.get("fields", ()) for hit in reply["hits"]["hits"])


def read_hits(reply: JSON, schema: IndexSchema, depth: int, scale: float = 1.0) -> Ranking:
    """The ranking in a `_search` reply; each hit with its best passage."""
    return ordered((read_hit(hit, schema, scale) for hit in reply["hits"]["hits"]), depth)


def read_hit(hit: JSON, schema: IndexSchema, scale: float = 1.0) -> Hit:
    """A hit with its best passage; its score is 0 where the engine sorted and made none."""
    return Hit(read_doc_id(hit, schema), (hit["_score"] or 0.0) / scale, _read_passages(hit, schema))


def read_doc_id(hit: JSON, schema: IndexSchema) -> str:
    """What rankings call the document of a hit."""
    found: str = hit["_id"] if "_id" in hit else hit["fields"][DOC_ID][0]
    layout = schema.layout
    if layout.members.names or layout.routed:
        return layout.doc_id(hit["_index"], found, hit.get("_routing"))
    return found


def _read_passages(hit: JSON, schema: IndexSchema) -> tuple[Passage, ...]:
    if schema.managed:
        return _inner_passages(hit, NEAREST, schema) or _inner_passages(hit, MATCHING, schema)
    return _inner_texts(hit, schema, NEAREST) or _inner_texts(hit, schema, MATCHING) or _whole_text(hit, schema)


def _whole_text(hit: JSON, schema: IndexSchema) -> tuple[Passage, ...]:
    text = read_text(hit, schema)
    return (Passage(read_doc_id(hit, schema), 0, text),) if text else ()


def _inner_texts(hit: JSON, schema: IndexSchema, name: str) -> tuple[Passage, ...]:
    """The texts of the nested objects that came along under that name, in an index that is not ours."""
    passages = []
    for inner in hit.get("inner_hits", {}).get(name, {}).get("hits", {}).get("hits", ()):
        path, ordinal, at = "", 0, inner.get("_nested")
        while at:  # nested objects may lie in nested objects
            path, ordinal, at = f"{path}.{at['field']}".lstrip("."), at["offset"], at.get("_nested")
        places = schema.layout.nested_places.get(path, ())
        text = _read_places(inner, places, below=f"{path}.")
        if text:
            passages.append(Passage(read_doc_id(hit, schema), ordinal, text))
    return tuple(passages)


def read_text(hit: JSON, schema: IndexSchema) -> str:
    """The text of a document that is not ours: of each of its text fields, each piece once; empty where there is
    none."""
    return _read_places(hit, [schema.layout.place(name) for name in schema.fields.text])


def read_texts(hit: JSON, schema: IndexSchema) -> dict[str, str]:
    """The texts of a document that is not ours, by text field, without those that are empty; a text that two fields
    share is the first one's."""
    texts: dict[str, str] = {}
    seen: set[TextPlace] = set()
    for name in schema.fields.text:
        place = schema.layout.place(name)
        text = "" if place in seen else _read_places(hit, [place])
        seen.add(place)
        if text.strip():
            texts[name] = text
    return texts


def _read_places(hit: JSON, places: Sequence[TextPlace], *, below: str = "") -> str:
    """The texts at those places; the source of a nested object begins `below` its path."""
    source, fields = hit.get("_source", {}), hit.get("fields", {})
    paths = dict.fromkeys(path.removeprefix(below) for place in places for path in place.source)
    names = dict.fromkeys(name for place in places for name in (*place.stored, *place.columns, *place.computed))
    parts = [text for path in paths for text in values_at(source, path.split("."))]
    parts += [text for name in names for value in fields.get(name, ()) for text in values_at(value, [])]
    return "\n".join(part for part in parts if part)


def values_at(node: Any, path: Sequence[str]) -> Iterator[str]:
    """Every value at a dotted path of a document's source, as text: through lists of objects, and keys with dots in
    them."""
    for found in nodes_at(node, path):
        if isinstance(found, Mapping):
            yield from values_at(found.get("text"), [])  # as some types of fields keep their text beside more
        else:
            yield str(found)


def nodes_at(node: Any, path: Sequence[str]) -> Iterator[Any]:
    """The same as they are, whole objects among them; what is null is none."""
    if isinstance(node, list):
        for child in node:
            yield from nodes_at(child, path)
    elif not path:
        if node is not None:
            yield node
    elif isinstance(node, Mapping):
        for end in range(1, len(path) + 1):
            key = ".".join(path[:end])
            if key in node:
                yield from nodes_at(node[key], path[end:])


def read_fields(hit: JSON, schema: IndexSchema, source: SourceFilter | None = None) -> dict[str, Any]:
    """The fields of a document as a hit shows them: without vectors and without what a back-fill added, and with the
    texts that are kept beside `_source`."""
    fields = _all_fields(hit, schema)
    return source.apply(fields) if source else fields


def _all_fields(hit: JSON, schema: IndexSchema) -> dict[str, Any]:
    if schema.managed:
        return to_original(hit.get("_source", {}), schema)
    source = hit.get("_source", {})
    added = find_added(source)
    fields: dict[str, Any] = _without_vectors({name: value for name, value in source.items() if name not in added})
    for name, values in hit.get("fields", {}).items():
        if name not in fields:
            fields[name] = values[0] if len(values) == 1 else values
    return fields


def _without_vectors(value: Any) -> Any:
    """The same without lists of numbers as long as an embedding: they say nothing to whoever reads a hit."""
    if isinstance(value, Mapping):
        return {key: _without_vectors(inner) for key, inner in value.items() if not _is_vector(inner)}
    if isinstance(value, list):
        return [_without_vectors(inner) for inner in value if not _is_vector(inner)]
    return value


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= MIN_VECTOR_DIMS
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    )


def _inner_passages(hit: JSON, name: str, schema: IndexSchema) -> tuple[Passage, ...]:
    if "inner_hits" not in hit:
        return ()
    doc_id = read_doc_id(hit, schema)
    inner = hit["inner_hits"].get(name, {}).get("hits", {}).get("hits", [])
    texts = ((found["_nested"]["offset"], found.get("fields", {}).get("passages.text")) for found in inner)
    return tuple(Passage(doc_id, at, text[0]) for at, text in texts if text)  # field-level security may hide them
