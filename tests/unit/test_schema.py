"""The schema of an index: fields, names, and what `_meta` keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.indices.schemas import MADE

from connector.errors import SettingsError
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings

ENCODER = EncoderFingerprint("all-MiniLM-L6-v2", "ab" * 32, 384, 256)
FIELDS = Fields(
    text={"title": 2.0, "text": 1.0}, metadata={"year": "integer", "tags": "keyword[]", "extra": "stored"}, id="sku"
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": {}}, "fields.text"),
        ({"text": {"title": 0.0}}, "must be above 0"),
        ({"text": {"title": float("nan")}}, "must be above 0"),
        ({"text": {"title": 1.0}, "metadata": {"year": "int"}}, "choose one of keyword, keyword"),
        ({"text": {"title": 1.0}, "metadata": {"title": "keyword"}}, "'title' is named as text and as metadata"),
    ],
)
def test_fields_that_contradict_themselves_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Fields(**arguments)


@pytest.mark.parametrize(
    "name", ["passages", "content_hash", "unit", "doc_id", "vectors", "_score", "a.b", "a`b", "a*", "a^2", "", " "]
)
def test_a_name_that_an_index_of_ours_cannot_have_is_refused(name: str) -> None:
    for fields in (Fields(text={name: 1.0}), Fields(text={"text": 1.0}, metadata={name: "keyword"})):
        with pytest.raises(SettingsError, match="rename it in the source"):
            fields.check_names()


def test_usual_names_pass() -> None:
    FIELDS.check_names()

    assert list(FIELDS.text) == ["title", "text"]


def test_a_schema_survives_the_index_meta() -> None:
    schema = IndexSchema(
        FIELDS, ENCODER, "german", PassageSettings(128, 16), VectorSettings("hnsw", 8, 64), dims=ENCODER.dims
    )

    read = IndexSchema.from_meta(json.loads(json.dumps(schema.to_meta())))

    assert read == schema


def test_an_index_of_another_is_no_schema() -> None:
    assert (IndexSchema.from_meta({}), IndexSchema.from_meta({"connector": "theirs"})) == (None, None)


def test_an_index_of_another_version_is_refused() -> None:
    meta = IndexSchema(FIELDS, ENCODER, **MADE, dims=384).to_meta()
    meta["connector"]["version"] = 99

    with pytest.raises(SettingsError, match="_meta version 99, this one reads 1"):
        IndexSchema.from_meta(meta)


def test_an_encoder_is_known_by_its_output_and_not_by_its_name() -> None:
    copy, others = replace(ENCODER, name="/models/copy"), [
        replace(ENCODER, sha256="cd" * 32),
        replace(ENCODER, dims=768),
        replace(ENCODER, max_tokens=128),
        replace(ENCODER, normalised=False),
        replace(ENCODER, query_prompt="query: "),
        replace(ENCODER, pooling="cls"),
        replace(ENCODER, passage_prompt="passage: "),
    ]  # fmt: skip

    assert ENCODER.same_vectors(copy)
    assert not any(ENCODER.same_vectors(other) for other in others)
    assert str(others[-1]) == "all-MiniLM-L6-v2@abababababab (384 dims, 'passage: ' before passages)"
    assert str(replace(ENCODER, pooling="cls")) == "all-MiniLM-L6-v2@abababababab (384 dims, pooling by cls)"
