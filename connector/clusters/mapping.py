"""Index schema -> JSON of an engine, from the templates in mappings/."""

from __future__ import annotations

import copy
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from connector.errors import SettingsError
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


@cache
def read_template(engine: str) -> dict[str, Any]:
    """The template of an engine: from the wheel, or from the repository's mappings/ in a source checkout."""
    packaged = resources.files("connector") / "mappings" / f"{engine}.json"
    path = packaged if packaged.is_file() else Path(__file__).parents[2] / "mappings" / f"{engine}.json"
    template: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return template


def build_index(engine: str, schema: IndexSchema) -> dict[str, Any]:
    """The body of `PUT /index`: settings and mappings with `_meta`. Raises SettingsError for an unknown vector
    index."""
    template = read_template(engine)
    values = _values(template, engine, schema.analyzer, schema.dims, schema.vectors)
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


def build_passages_field(engine: str, analyzer: str, dims: int, vectors: VectorSettings) -> dict[str, Any]:
    """The mapping of the nested passages alone. Raises SettingsError for an unknown vector index."""
    template = read_template(engine)
    found: dict[str, Any] = fill(
        template["mappings"]["properties"]["passages"], _values(template, engine, analyzer, dims, vectors)
    )
    return found


def _values(template: dict[str, Any], engine: str, analyzer: str, dims: int, vectors: VectorSettings) -> dict[str, Any]:
    """What is filled into a template."""
    values: dict[str, Any] = {
        "$analyzer$": analyzer,
        "$dims$": dims,
        "$m$": vectors.m,
        "$ef_construction$": vectors.ef_construction,
    }
    return values | {"$vector_index$": fill(_vector_index(template, engine, vectors.index), values)}


def fill(part: Any, values: dict[str, Any]) -> Any:
    """A copy of a JSON value in which every string that is a key of `values` is replaced by its value."""
    if isinstance(part, dict):
        return {key: fill(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [fill(value, values) for value in part]
    return values.get(part, part) if isinstance(part, str) else part


def _vector_index(template: dict[str, Any], engine: str, name: str) -> Any:
    choices = template["vector_indexes"]
    if name == "auto":
        name = choices["auto"]
    if name not in choices or name == "auto":
        raise SettingsError(f"{engine} has no vector index {name!r}; choose one of {', '.join(sorted(choices))}")
    return choices[name]
