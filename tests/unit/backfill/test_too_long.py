"""Which writes of ours would make OpenSearch 3 store vectors of other documents."""

from __future__ import annotations

import pytest
from support.indices.backfills import HNSW, WORDS

from connector.backfill.fields import BackfillPlan
from connector.backfill.other_nested import OtherNested, read_others
from connector.backfill.scan import FoundDocument
from connector.backfill.too_long import has_outgrown, is_too_long, taken_out
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.indices.foreign import build_foreign_schema
from connector.clusters.protocol import ForeignFields
from connector.clusters.writing.nested_objects import read_branches
from connector.schema import PassageSettings

NAMES, SECOND = AddedNames(), AddedNames("passages_2")
PLAIN = {"properties": {"title": {"type": "text"}, "parts": {"type": "nested"}}}
VECTORS = {"properties": {"parts": {"type": "nested", "properties": {"v": {"type": "knn_vector", "dimension": 2}}}}}
ADDED = Backfilled(WORDS, {"title": 1.0}, PassageSettings(0, 0))
SCHEMA = build_foreign_schema("shop", [PLAIN], ForeignFields({"title": 1.0}), lambda mapping: None)
OF = {
    "plain": OtherNested(read_branches(PLAIN)),
    "vectors": OtherNested(read_branches(VECTORS)),
    "second": OtherNested(read_branches(PLAIN), (SECOND,)),
}


def plan(others: str, most_nested: int | None = 149) -> BackfillPlan:
    return BackfillPlan("shop", 1, ADDED, SCHEMA, HNSW, "standard", most_nested=most_nested, others=OF[others])


def found(own: int, other: int) -> FoundDocument:
    return FoundDocument("shop", "d", None, 1, 1, 1, {}, own_nested=own, other_nested=other)


@pytest.mark.parametrize(
    ("others", "own", "other", "passages", "too_long"),
    [
        ("plain", 0, 100, 49, False),
        ("plain", 0, 100, 50, True),
        ("plain", 100, 60, 20, False),  # what is read wrongly is ours, and is replaced
        ("vectors", 100, 60, 20, True),  # theirs is read wrongly, and would be stored so
        ("vectors", 100, 49, 20, False),
        ("second", 100, 60, 20, True),
        ("plain", 0, 150, 0, False),  # the marker of a document without text
        ("vectors", 0, 150, 0, True),
        ("vectors", 0, 149, 0, False),
    ],
)
def test_a_document_is_too_long_where_a_write_would_store_wrong_vectors(
    others: str, own: int, other: int, passages: int, too_long: bool
) -> None:
    assert is_too_long(plan(others), found(own, other), passages) is too_long
    assert not is_too_long(plan(others, most_nested=None), found(own, other), passages)


def test_a_document_without_passages_has_outgrown_nothing() -> None:
    assert has_outgrown(plan("plain"), found(1, 149))
    assert not has_outgrown(plan("plain"), found(0, 200))
    assert not has_outgrown(plan("plain"), found(100, 49))


def test_passages_go_with_those_of_another_encoder_or_not_at_all() -> None:
    assert taken_out(plan("second"), found(100, 49)) == (NAMES,)
    assert taken_out(plan("second"), found(100, 50)) == (NAMES, SECOND)
    assert taken_out(plan("vectors"), found(100, 49)) == (NAMES,)
    assert taken_out(plan("vectors"), found(100, 50)) == ()


def test_what_is_asked_for_are_the_objects_of_others_and_passages_without_their_texts() -> None:
    meta = Backfilled(WORDS, {"title": 1.0}, PassageSettings(0, 0), SECOND).to_meta_as_other(ADDED.to_meta({}))
    filled = {"passages": {"type": "nested"}, "passages_2": {"type": "nested"}}
    others = read_others({"properties": PLAIN["properties"] | filled, "_meta": meta}, NAMES)

    assert others.ours == (SECOND,)
    assert others.asked(NAMES) == ["passages.ordinal", "passages_2.ordinal", "parts"]
    assert (others.count({"parts": [{}, {}], "passages_2": [{"ordinal": 0}], "passages": [{}]})) == 3
    assert read_others({"properties": {"passages": {"type": "nested"}}}, NAMES).asked(NAMES) == []
