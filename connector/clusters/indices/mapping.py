"""Index schema -> JSON of an engine, from the templates in mappings/, which vector_choices.py reads."""

from __future__ import annotations

import copy
from typing import Any

from connector.clusters.indices.vector_choices import choose, read_template
from connector.clusters.protocol import Engine
from connector.schema import AnyFieldType, IndexSchema, VectorSettings

# how values of the engines' types are checked; for any other type the engine itself does that
ENGINE_TYPES: dict[str, AnyFieldType] = {
    "keyword": "keyword",
    "constant_keyword": "keyword",
    "wildcard": "keyword",
    "long": "integer",
    "integer": "integer",
    "short": "integer",
    "byte": "integer",
    "double": "number",
    "float": "number",
    "half_float": "number",
    "scaled_float": "number",
    "boolean": "boolean",
    "date": "date",
    "date_nanos": "date_nanos",
}


def build_index(engine: Engine, schema: IndexSchema) -> dict[str, Any]:
    """The body of `PUT /index`: settings and mappings with `_meta`. Raises SettingsError for an unknown vector
    index."""
    template = read_template(engine.kind)
    values = _values(engine, schema.analyzer, schema.dims, schema.vectors)
    body = {"settings": copy.deepcopy(template["settings"]), "mappings": fill(template["mappings"], values)}
    properties = body["mappings"]["properties"]
    if not schema.keeps_ids:
        del properties["doc_id"]
    if not schema.keeps_original_text:
        del properties["original_text"]
    for name in schema.fields.text:
        properties[name] = fill(template["text"], values)
    for name, kind in schema.fields.metadata.items():
        properties[name] = template["metadata"][kind]
    body["mappings"]["_meta"] = schema.to_meta()
    return body


def build_passages_field(engine: Engine, analyzer: str, dims: int, vectors: VectorSettings) -> dict[str, Any]:
    """The mapping of the nested passages alone. Raises SettingsError for an unknown vector index."""
    passages = read_template(engine.kind)["mappings"]["properties"]["passages"]
    found: dict[str, Any] = fill(passages, _values(engine, analyzer, dims, vectors))
    return found


def _values(engine: Engine, analyzer: str, dims: int, vectors: VectorSettings) -> dict[str, Any]:
    """What is filled into a template."""
    return {"$analyzer$": analyzer, "$vector$": build_vector_field(engine, vectors, dims)}


def build_vector_field(engine: Engine, vectors: VectorSettings, dims: int) -> dict[str, Any]:
    """The mapping of a vector field. Raises SettingsError for a vector index that the engine has not."""
    values = {"$dims$": dims, "$m$": vectors.m, "$ef_construction$": vectors.ef_construction}
    mapped = choose(engine, vectors, dims).mapped_by(engine)
    field: dict[str, Any] = fill(read_template(engine.kind)["vector"] | dict(mapped), values)
    return field


def fill(part: Any, values: dict[str, Any]) -> Any:
    """A copy of a JSON value in which every string that is a key of `values` is replaced by its value."""
    if isinstance(part, dict):
        return {key: fill(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [fill(value, values) for value in part]
    return values.get(part, part) if isinstance(part, str) else part
