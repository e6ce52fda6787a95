"""An index that somebody else made: from its mapping to what is searched, filtered by, shown and reranked."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from connector.backfilled import MARKED, Backfilled
from connector.clusters.indices.mapping import ENGINE_TYPES
from connector.clusters.protocol import ForeignFields
from connector.errors import SettingsError
from connector.layout import FilterableFields, Layout, TextPlace, VectorField
from connector.schema import AnyFieldType, EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings

JSON = dict[str, Any]
UNKNOWN = "unknown"  # of an index that somebody else made
TEXT_TYPES = frozenset(
    {"text", "match_only_text", "annotated_text", "search_as_you_type", "pattern_text", "semantic_text"}
)
VECTOR_TYPES = frozenset({"dense_vector", "knn_vector", "sparse_vector", "rank_features"})
FLAT_TYPES = frozenset(
    {"flattened", "flat_object"}
)  # objects of which every key is a field, though no mapping names it
OBJECTS = frozenset({"object", "nested", "passthrough"})
NO_TERMS = TEXT_TYPES | VECTOR_TYPES | OBJECTS | {
    "alias", "geo_point", "geo_shape", "point", "shape", "xy_point", "xy_shape", "binary", "completion", "percolator",
    "rank_feature", "aggregate_metric_double", "histogram", "star_tree", "lookup",
}  # fmt: skip
KEYWORDS = frozenset({"keyword", "constant_keyword", "counted_keyword", "wildcard", "version", "ip"})
# of these a value can be looked up by doc values alone
BY_COLUMN = frozenset({
    "boolean", "byte", "date", "date_nanos", "double", "float", "half_float", "integer", "ip", "keyword", "long",
    "scaled_float", "short", "unsigned_long",
})  # fmt: skip
RANGES = frozenset({"date_range", "double_range", "float_range", "integer_range", "ip_range", "long_range"})
# of these the engine refuses a query for a word, and with it all that it was asked for
NO_WORDS = (NO_TERMS | BY_COLUMN | RANGES) - TEXT_TYPES - {"alias", "keyword"}


@dataclass(frozen=True, slots=True)
class MappedField:
    """One name that a mapping knows: a field, a multi-field, an alias or a runtime field."""

    name: str
    mapping: JSON
    source: str  # the path in `_source` that its values come from
    nested: str = ""  # the nested object that it is in
    target: str = ""  # what an alias stands for
    computed: bool = False  # worked out by the engine for each document

    @property
    def type(self) -> str:
        default = "object" if "properties" in self.mapping else ""
        return str(self.mapping.get("type", default))


@dataclass(frozen=True, slots=True)
class Mapped:
    """All that one mapping says: every name with its field, what is copied where, and what `_source` keeps."""

    fields: Mapping[str, MappedField]
    copies: Mapping[str, Sequence[str]] = field(default_factory=dict)  # field -> the fields that are copied to it
    source: JSON = field(default_factory=dict)

    def names(self, wanted: Callable[[MappedField], bool]) -> list[str]:
        return [name for name, found in self.fields.items() if wanted(found)]

    def flat_root(self, name: str) -> MappedField | None:
        """The flattened field of which `name` is a key."""
        parts = name.split(".")
        roots = (self.fields.get(".".join(parts[:at])) for at in range(len(parts) - 1, 0, -1))
        return next((root for root in roots if root is not None and root.type in FLAT_TYPES), None)

    def find(self, name: str) -> MappedField | None:
        """The field of that name, also a key of a flattened one."""
        if name in self.fields:
            return self.fields[name]
        root = self.flat_root(name)
        return replace(root, name=name, source=name, mapping={"type": "keyword", "doc_values": False}) if root else None


def kind_of(found: MappedField) -> str:
    """The type of a field; of vectors also what makes two of them comparable: dimensions, similarity, elements."""
    if found.type not in VECTOR_TYPES:
        return found.type
    mapping = found.mapping | {"method_space": found.mapping.get("method", {}).get("space_type")}
    keys = ("dims", "dimension", "similarity", "space_type", "method_space", "element_type", "data_type")
    return " ".join([found.type, *(str(mapping[key]) for key in keys if mapping.get(key))])


def read_mapping(mappings: Sequence[JSON]) -> Mapped:
    """What the mappings of the indices behind one name say together: a field is as most have it, and of two such ways
    as the last has it."""
    seen: dict[str, dict[str, list[MappedField]]] = {}
    copies: dict[str, list[str]] = {}
    source: JSON = {}
    for mapping in mappings:
        found = {mapped_field.name: mapped_field for mapped_field in _walk(mapping.get("properties", {}))}
        for name, kind, computed in _runtime(mapping):
            found[name] = MappedField(name, {"type": kind}, name, computed=computed)
        for name, mapped_field in list(found.items()):
            if mapped_field.type == "alias":
                target = found.get(mapped_field.mapping.get("path", ""))
                if target:
                    found[name] = replace(target, name=name, target=target.name)
            for goal in _listed(mapped_field.mapping.get("copy_to")):
                copies.setdefault(goal, []).append(mapped_field.source)
        for name, mapped_field in found.items():
            kinds = seen.setdefault(name, {})
            kind = kind_of(mapped_field)
            kinds[kind] = [*kinds.pop(kind, []), mapped_field]  # the last that was seen comes last
        source |= mapping.get("_source", {})
    fields = {name: max(reversed(kinds.values()), key=len)[-1] for name, kinds in seen.items()}
    return Mapped(fields, {goal: sorted(set(names)) for goal, names in copies.items()}, source)


def read_filterable(mapped: Mapped, *, without: Sequence[str] = ()) -> FilterableFields:
    """Every field that the engine can filter by a term, with its type."""
    types: dict[str, AnyFieldType] = {}
    for name, found in mapped.fields.items():
        if name not in without and found.type and found.type not in NO_TERMS and _is_searchable(found):
            types[name] = ENGINE_TYPES.get(found.type, "engine")
    return FilterableFields(types, mapped.names(lambda found: found.type in FLAT_TYPES))


def build_foreign_schema(
    name: str,
    mappings: Sequence[JSON],
    foreign: ForeignFields | None,
    read_vector: Callable[[JSON], VectorField | None],
    added: Backfilled | None = None,
    others: Sequence[Backfilled] = (),
) -> IndexSchema:
    """The schema of an index that is not ours, from the mappings behind its name, and from the field names given or
    what a back-fill added. What `others` added stands beside it and is not shown.

    Raises SettingsError for a field that is not there, or that cannot be searched."""
    if added:
        texts_given = foreign.text if foreign and foreign.text else added.text
        foreign = ForeignFields(texts_given, (foreign and foreign.vector) or added.names.vector)
    mapped = read_mapping(mappings)
    vectors = {path: vector for path, found in mapped.fields.items() if (vector := read_vector(found.mapping))}
    if foreign is None or not foreign.text:
        names = mapped.names(_is_text)
        raise SettingsError(
            f"index {name!r} was not made by the connector; name its fields to search it: index.text_fields "
            f"(it has: {', '.join(sorted(names)) or 'no text field'}) and index.vector_field "
            f"(it has: {', '.join(sorted(vectors)) or 'none'})"
        )
    if foreign.vector is not None and foreign.vector not in vectors:
        raise SettingsError(
            f"index {name!r} has no vector field {foreign.vector!r}; it has: {', '.join(sorted(vectors)) or 'none'}"
        )
    layout = _build_layout(name, mappings, mapped, foreign, vectors)
    encoders: dict[str, EncoderFingerprint] = {}
    ours: list[str] = []
    if added:
        layout = _with_added(layout, added, others)
        encoders = {backfill.names.vector: backfill.encoder for backfill in (added, *others)}
        roots = {root for backfill in (added, *others) for root in (backfill.names.passages, backfill.names.marker)}
        ours = [name for name in mapped.fields if name.split(".")[0] in roots]
    vector = layout.vector
    return IndexSchema(
        fields=Fields(text=foreign.text, metadata=read_filterable(mapped, without=[*foreign.text, *ours])),
        encoder=encoders.get(foreign.vector or ""),
        analyzer=UNKNOWN,
        passages=added.passages if added else PassageSettings(0, 0),
        vectors=VectorSettings(UNKNOWN, 0, 0),
        managed=False,
        vector_field=foreign.vector,
        dims=vector.dims if vector else 0,
        similarity=vector.similarity if vector else "cosine",
        encoders=encoders,
        layout=layout,
    )


def _build_layout(
    name: str, mappings: Sequence[JSON], mapped: Mapped, foreign: ForeignFields, vectors: Mapping[str, VectorField]
) -> Layout:
    """Where texts and vectors lie. Raises SettingsError for a text field that is not there, or cannot be searched."""
    texts = {text: _text_field(name, mapped, text) for text in foreign.text}
    return Layout(
        places={text: _place(mapped, found) for text, found in texts.items()},
        analyzed={
            text: (found.target or found.name, found.source)
            for text, found in texts.items()
            if not (found.nested or found.computed or mapped.flat_root(text))
        },
        nested={path: found.nested for path, found in mapped.fields.items() if found.nested},
        vectors=tuple(mapped.names(lambda found: found.type in VECTOR_TYPES)),
        vector=vectors[foreign.vector] if foreign.vector else None,
        vector_fields=vectors,
        nested_places={
            path: tuple(_place(mapped, found) for found in _texts_in(mapped, path, foreign.text))
            for path in {mapped.fields[vector_path].nested for vector_path in vectors} - {""}
        },
        routed=any(mapping.get("_routing", {}).get("required") for mapping in mappings),
        has_source=mapped.source.get("enabled", True) is not False,
    )


def _with_added(layout: Layout, added: Backfilled, others: Sequence[Backfilled]) -> Layout:
    """The layout with the passages that a back-fill put there: their texts are stored beside `_source`, and no hit
    shows them as a field of the document."""
    names = added.names
    hidden = [name for backfill in (added, *others) for name in (backfill.names.passages, backfill.names.marker)]
    return replace(
        layout,
        vectors=(*layout.vectors, *hidden),
        nested_places={**layout.nested_places, names.passages: (TextPlace(stored=(names.text,)),)},
        marked=(names.marker, MARKED),
        passages=(names.passages, names.text),
    )


def _text_field(index: str, mapped: Mapped, name: str) -> MappedField:
    """The field of that name, if it can be searched for words. Raises SettingsError."""
    found = mapped.find(name)
    if found is None:
        raise SettingsError(f"index {index!r} has no field {name!r}; {_hint(mapped, name)}")
    if found.mapping.get("enabled") is False:
        raise SettingsError(f"field {name!r} of index {index!r} is not indexed (enabled: false); name another one")
    if found.type in OBJECTS:
        inner = [other for other in mapped.names(_is_text) if other.startswith(f"{name}.")]
        raise SettingsError(
            f"field {name!r} of index {index!r} is an object; name a field in it: "
            f"{', '.join(sorted(inner)) or 'it has no text'}"
        )
    if found.type in VECTOR_TYPES:
        raise SettingsError(f"field {name!r} of index {index!r} holds vectors; {_hint(mapped, name)}")
    if found.type in NO_WORDS:
        raise SettingsError(
            f"field {name!r} of index {index!r} is of type {found.type}, which holds no words: filter by it; "
            f"{_hint(mapped, name)}"
        )
    if found.mapping.get("index") is False and found.type in TEXT_TYPES:
        raise SettingsError(f"field {name!r} of index {index!r} is not indexed (index: false); {_hint(mapped, name)}")
    return found


def _texts_in(mapped: Mapped, path: str, named: Mapping[str, float]) -> list[MappedField]:
    """The text fields of a nested object: those that are named to be searched, or else all."""
    inside = [found for found in mapped.fields.values() if found.nested == path and _is_text(found)]
    chosen = [found for found in inside if found.name in named] or inside
    return list({found.source: found for found in reversed(chosen)}.values())[::-1]  # a multi-field has the same text


def _hint(mapped: Mapped, name: str) -> str:
    """The field that may be meant, and the text fields that are there."""
    texts = sorted(mapped.names(_is_text))
    near = [other for other in texts if other.rsplit(".", 1)[-1] == name or other.startswith(f"{name}.")]
    near = near or difflib.get_close_matches(name, texts, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}its text fields: {', '.join(texts) or 'none'}"


def _is_text(found: MappedField) -> bool:
    return found.type in TEXT_TYPES and found.mapping.get("index") is not False


def _place(mapped: Mapped, found: MappedField) -> TextPlace:
    """Where the text of a field is: in what `_source` keeps, else in what is stored beside it."""
    if found.computed:
        return TextPlace(computed=(found.name,))
    copies = mapped.copies.get(found.target or found.name, ()) or mapped.copies.get(found.source, ())
    paths = tuple(dict.fromkeys([found.source, *copies]))
    kept = tuple(path for path in paths if is_kept(path, mapped.source))
    if kept:
        return TextPlace(source=kept)
    siblings = [
        mapped_field
        for mapped_field in mapped.fields.values()
        if mapped_field.source in paths and not mapped_field.target
    ]
    stored = tuple(
        mapped_field.name for mapped_field in siblings if mapped_field.mapping.get("store") in (True, "true")
    )
    if stored:
        own = [name for name in stored if name == (found.target or found.name)]
        return TextPlace(stored=tuple(own) or stored)
    columns = tuple(
        mapped_field.name
        for mapped_field in siblings
        if mapped_field.type in KEYWORDS and mapped_field.mapping.get("doc_values", True)
    )
    if columns:
        return TextPlace(columns=columns[:1] if len(paths) == 1 else columns)
    because = "_source is disabled" if mapped.source.get("enabled", True) is False else "_source leaves it out"
    return TextPlace(why_not=f"the text of {found.name!r} is searchable but not kept: {because}, and it is not stored")


def is_kept(path: str, source: JSON) -> bool:
    """Whether `_source` keeps the values at a path."""
    if source.get("enabled", True) is False:
        return False
    if any(_covers(pattern, path) for pattern in _listed(source.get("excludes"))):
        return False
    includes = _listed(source.get("includes"))
    return not includes or any(_covers(pattern, path) for pattern in includes)


def _covers(pattern: str, path: str) -> bool:
    """Whether a pattern of `_source` takes a path in: its own name, or an object that it is in."""
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[: at + 1]), pattern) for at in range(len(parts)))


def _is_searchable(found: MappedField) -> bool:
    """Whether the engine can look a value up: by an index, or by doc values."""
    if found.mapping.get("index", True) is not False:
        return True
    return found.mapping.get("doc_values", True) is not False and found.type in BY_COLUMN


def _walk(properties: JSON, prefix: str = "", nested: str = "") -> Iterator[MappedField]:
    for key, mapping in properties.items():
        name = prefix + key
        yield MappedField(name, mapping, name, nested)
        for sub, submapping in mapping.get("fields", {}).items():
            yield MappedField(f"{name}.{sub}", submapping, name, nested)
        if mapping.get("type") == "search_as_you_type":
            for sub in ("_2gram", "_3gram"):
                yield MappedField(f"{name}.{sub}", {"type": "search_as_you_type"}, name, nested)
        if "properties" in mapping and mapping.get("enabled") is not False:  # what is in it else is only kept
            yield from _walk(mapping["properties"], f"{name}.", name if mapping.get("type") == "nested" else nested)


def _runtime(mapping: JSON) -> Iterator[tuple[str, str, bool]]:
    """(name, type, whether it is worked out) of Elasticsearch's runtime fields and OpenSearch's derived ones."""
    for name, found in (mapping.get("runtime", {}) | mapping.get("derived", {})).items():
        if found.get("type") == "composite":
            for sub, inner in found.get("fields", {}).items():
                yield f"{name}.{sub}", inner.get("type", ""), True
        else:
            yield name, found.get("type", ""), "script" in found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []
