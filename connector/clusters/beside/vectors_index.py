"""An index of ours that holds the passages and vectors of documents which stay in somebody else's: its mapping, what it
says of itself, and what each of its documents says of the one that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import orjson

from connector.clusters.indices.foreign import Mapped
from connector.clusters.indices.mapping import build_index
from connector.clusters.protocol import Engine
from connector.clusters.reading.hits import nodes_at
from connector.errors import SettingsError
from connector.filters import And, Exists, Filter, Not, Or, Range, Terms
from connector.schema import Fields, IndexSchema

JSON = dict[str, Any]
META = "connector_beside"
META_VERSION = 1
TEXT = "text"  # stands for the texts, which are not here
COPIES, READ = "copied_fields", "read_state"
VERSION_FIELDS = (f"{READ}.seq_no", f"{READ}.primary_term", "content_hash")
# what of a field's mapping is kept where its values are copied; a field with anything else is not copied
KEPT = frozenset({"type", "format", "ignore_above", "ignore_malformed", "coerce", "null_value", "scaling_factor"})
WITHOUT_SAY = frozenset({"fields", "store", "doc_values", "index", "copy_to", "meta", "boost", "eager_global_ordinals",
                         "norms", "index_options", "similarity", "split_queries_on_whitespace"})  # fmt: skip
COPIED_TYPES = frozenset({
    "boolean", "byte", "date", "date_nanos", "double", "float", "half_float", "integer", "ip", "keyword", "long",
    "scaled_float", "short", "unsigned_long",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class CopiedField:
    """A field that is filtered by, and where its values are copied to; `source` is their path in a document."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose documents an index of vectors is made of: the index by its own name and its uuid (empty where that could
    not be read), and the fields that are copied so that the nearest are looked for among what a filter lets through."""

    index: str
    uuid: str
    copies: Mapping[str, CopiedField]

    def to_meta(self, schema: IndexSchema) -> JSON:
        """The `_meta` of the index of vectors."""
        kept = {name: asdict(copy) for name, copy in self.copies.items()}
        content = {"version": META_VERSION, "index": self.index, "uuid": self.uuid, "copies": kept}
        return {META: content | schema.to_meta()}


class DocumentVersion(NamedTuple):
    """Which state of a document something was made of: the number of its last write, and what its text was."""

    seq_no: int
    primary_term: int
    content_hash: str


def vectors_name(index: str) -> str:
    """What the index of vectors beside an index is called, where nobody says otherwise. It begins unlike the other's
    name, so that a pattern which finds that does not find it."""
    return f"vectors-of-{index.lstrip('.')}"


def read_origin(meta: Mapping[str, Any]) -> tuple[Origin, IndexSchema] | None:
    """What the `_meta` of an index of vectors says; None for any other index. Raises SettingsError."""
    content = meta.get(META)
    if not isinstance(content, Mapping):
        return None
    if content.get("version") != META_VERSION:
        raise SettingsError(
            "these vectors were made by another version of the connector (_meta version "
            f"{content.get('version')}, this one reads {META_VERSION}); drop the index, and make it anew with "
            "connector backfill --beside"
        )
    schema = IndexSchema.from_meta(content)
    assert schema is not None
    copies = {name: CopiedField(**copy) for name, copy in content["copies"].items()}
    return Origin(content["index"], content["uuid"], copies), schema


def choose_copies(mapped: Mapped, names: Sequence[str] | None) -> dict[str, CopiedField]:
    """The fields with these names, or else all that can be copied. Raises SettingsError for one that cannot."""
    fit = {name: found.source for name, found in mapped.fields.items() if _why_not(mapped, name) == ""}
    for name in names or ():
        if name not in fit:
            raise SettingsError(f"the field {name!r} cannot be copied: {_why_not(mapped, name)}")
    chosen = list(fit) if names is None else list(names)
    return {name: CopiedField(f"{COPIES}.{_flat(name)}", fit[name]) for name in chosen}


def build_vectors_index(engine: Engine, origin: Origin, schema: IndexSchema, mapped: Mapped) -> JSON:
    """The body of `PUT /index` for an index of vectors: that of an index of ours, without texts, and hidden, so that
    no pattern of an application finds it."""
    body = build_index(engine, replace(schema, fields=Fields({TEXT: 1.0}), keeps_original_text=False))
    properties = body["mappings"]["properties"]
    del properties[TEXT]
    properties[READ] = {
        "properties": {
            "seq_no": {"type": "long"},
            "primary_term": {"type": "long"},
            "routing": {"type": "keyword", "index": False, "doc_values": False},
        }
    }
    copies = {
        copy.name.removeprefix(f"{COPIES}."): {
            key: value for key, value in mapped.fields[name].mapping.items() if key in KEPT
        }
        for name, copy in origin.copies.items()
    }
    properties[COPIES] = {"properties": copies}
    body["mappings"]["_meta"] = origin.to_meta(schema)
    body["settings"]["index"]["hidden"] = True
    return body


def read_version(hit: JSON) -> DocumentVersion | None:
    """The state that a document of an index of vectors was made of, from its values; None where they are not shown."""
    values = hit.get("fields", {})
    if not all(name in values for name in VERSION_FIELDS):
        return None
    seq_no, primary_term, content_hash = (values[name][0] for name in VERSION_FIELDS)
    return DocumentVersion(int(seq_no), int(primary_term), str(content_hash))


def hash_texts(texts: Mapping[str, str]) -> str:
    """What changes when a text of a document does: of each text field its name and its text."""
    return hashlib.blake2b(orjson.dumps(dict(texts), option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def copied_values(source: Any, copies: Mapping[str, CopiedField]) -> JSON:
    """The values of the copied fields of a document, as an index of vectors holds them."""
    found = {
        copy.name.removeprefix(f"{COPIES}."): [
            value for value in nodes_at(source, copy.source.split(".")) if not isinstance(value, Mapping)
        ]
        for copy in copies.values()
    }
    return {name: values[0] if len(values) == 1 else values for name, values in found.items() if values}


def split_filter(found: Filter, copies: Mapping[str, CopiedField]) -> tuple[Filter | None, bool]:
    """What of a filter the copies can answer, in their names, and whether that is all of it."""
    parts = found.parts if isinstance(found, And) else (found,)
    known = [renamed for part in parts if (renamed := _renamed(part, copies)) is not None]
    whole = len(known) == len(parts)
    if not known:
        return None, whole
    return known[0] if len(known) == 1 else And(tuple(known)), whole


def _renamed(found: Filter, copies: Mapping[str, CopiedField]) -> Filter | None:
    """The same filter of the copies; None where one of its fields is not copied."""
    match found:
        case Terms(name, values) if name in copies:
            return Terms(copies[name].name, values)
        case Range(name, bounds) if name in copies:
            return Range(copies[name].name, bounds)
        case Exists(name) if name in copies:
            return Exists(copies[name].name)
        case Not(part):
            inner = _renamed(part, copies)
            return Not(inner) if inner is not None else None
        case And(parts) | Or(parts):
            renamed = [_renamed(part, copies) for part in parts]
            kept = tuple(part for part in renamed if part is not None)
            return type(found)(kept) if len(kept) == len(parts) else None
    return None


def _flat(name: str) -> str:
    """A dotted name as one without dots; no two names become the same."""
    return name.replace("~", "~0").replace(".", "~1")


def _why_not(mapped: Mapped, name: str) -> str:
    """Why the values of a field cannot be copied; empty where they can."""
    found = mapped.fields.get(name)
    if found is None:
        return "the index has no such field"
    if found.nested or found.computed or found.target:
        return "it lies in a nested object, stands for another field, or is worked out for each document"
    if found.type not in COPIED_TYPES:
        return f"it is of type {found.type or 'object'}"
    others = sorted(found.mapping.keys() - KEPT - WITHOUT_SAY)
    if others:
        return f"its mapping has {', '.join(others)}"
    return "" if found.mapping.get("index", True) is not False else "it is not indexed"
