"""The mapping of an index, made from the template of each engine, and the schema read back from it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.indices.schemas import VECTORS
from support.parts import HashEncoder, schema_of

from connector.clusters.indices.mapping import build_index, fill
from connector.clusters.indices.vector_choices import read_choices, read_template
from connector.clusters.protocol import Engine
from connector.schema import FIELD_TYPES, IndexSchema, VectorSettings

ENGINES = ("elasticsearch", "opensearch")
ALL_TYPES = {f"field_{number}": kind for number, kind in enumerate(FIELD_TYPES)}
SCHEMA = replace(
    schema_of(HashEncoder(dims=5), metadata=ALL_TYPES), analyzer="german", vectors=VectorSettings("auto", 24, 99)
)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_placeholder_is_left(engine: str) -> None:
    assert "$" not in json.dumps(build_index(Engine(engine, ""), SCHEMA))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_is_mapped_in_its_type(engine: str) -> None:
    properties = build_index(Engine(engine, ""), SCHEMA)["mappings"]["properties"]

    assert [properties[name]["analyzer"] for name in ("title", "text")] == ["german", "german"]
    assert [properties[name]["type"] for name in ALL_TYPES] == [
        "keyword", "keyword", "long", "double", "boolean", "date", "object",
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_stay_numbers(engine: str) -> None:
    vector = build_index(Engine(engine, ""), SCHEMA)["mappings"]["properties"]["passages"]["properties"]["vector"]

    assert (vector.get("dims") or vector.get("dimension")) == 5
    options = vector.get("index_options") or vector["method"]["parameters"]
    assert (options["m"], options["ef_construction"]) == (24, 99)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_schema_is_read_back_from_the_mapping(engine: str) -> None:
    body = json.loads(json.dumps(build_index(Engine(engine, ""), SCHEMA)))

    assert IndexSchema.from_meta(body["mappings"]["_meta"]) == SCHEMA


@pytest.mark.parametrize("engine", ENGINES)
def test_an_index_of_an_earlier_version_has_no_column_of_ids(engine: str) -> None:
    older = replace(SCHEMA, keeps_ids=False, keeps_original_text=False)
    body = build_index(Engine(engine, ""), older)
    meta = body["mappings"]["_meta"]
    del meta["connector"]["keeps_ids"], meta["connector"]["keeps_original_text"]  # as it was written then

    assert "doc_id" in build_index(Engine(engine, ""), SCHEMA)["mappings"]["properties"]
    assert not {"doc_id", "original_text"} & set(body["mappings"]["properties"])
    assert IndexSchema.from_meta(meta) == older


@pytest.mark.parametrize("engine", ENGINES)
def test_unknown_fields_are_refused_by_the_index(engine: str) -> None:
    assert build_index(Engine(engine, ""), SCHEMA)["mappings"]["dynamic"] == "strict"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_template_stays_as_it_was(engine: str) -> None:
    before = json.dumps(read_template(engine))

    build_index(Engine(engine, ""), SCHEMA)["mappings"]["properties"]["passages"]["extra"] = 1
    build_index(Engine(engine, ""), schema_of(HashEncoder(dims=9)))

    assert json.dumps(read_template(engine)) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_every_vector_index_of_a_template_can_be_chosen(engine: str) -> None:
    names = list(read_choices(engine))

    bodies = [build_index(Engine(engine, ""), replace(SCHEMA, vectors=replace(VECTORS, index=name))) for name in names]

    assert len({json.dumps(body["mappings"]["properties"]["passages"]) for body in bodies}) == len(names)


def test_opensearch_names_the_engine_of_every_vector_index() -> None:
    methods = {choice.name: choice.mapped["method"]["engine"] for choice in read_choices("opensearch").values()}

    assert methods == {name: "faiss" if name.startswith("faiss") else "lucene" for name in methods}


def test_fill_replaces_whole_strings_only_and_copies() -> None:
    part: Any = {"a": ["$x$", "about $x$"], "b": {"c": "$x$"}, "d": 1}

    filled = fill(part, {"$x$": {"n": 2}})

    assert filled == {"a": [{"n": 2}, "about $x$"], "b": {"c": {"n": 2}}, "d": 1}
    assert part["a"][0] == "$x$"
