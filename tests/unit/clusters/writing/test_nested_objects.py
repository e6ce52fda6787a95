"""Which objects of a document are nested, and how many."""

from __future__ import annotations

from typing import Any

import pytest

from connector.clusters.writing.nested_objects import (
    count_objects,
    holds_vectors,
    may_have_vectors,
    nested_paths,
    read_branches,
)

VECTOR = {"type": "knn_vector", "dimension": 2}
DEEP = {"type": "nested", "properties": {"x": {"type": "integer"}, "vector": VECTOR}}
MAPPING: dict[str, Any] = {
    "properties": {
        "title": {"type": "text"},
        "top": VECTOR,
        "parts": {
            "type": "nested",
            "properties": {"n": {"type": "integer"}, "deep": DEEP, "in": {"properties": {"vector": VECTOR}}},
        },
        "a": {"properties": {"b": {"type": "nested"}, "c": {"type": "keyword"}}},
        "off": {"type": "nested", "enabled": False, "properties": {"vector": VECTOR}},
        "plain": {"properties": {"c": {"type": "keyword"}}},
    }
}
BRANCHES = read_branches(MAPPING)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ({}, 0),
        ({"parts": None}, 0),
        ({"parts": []}, 0),
        ({"parts": {}}, 1),
        ({"parts": [{}, None, {"n": 1}]}, 2),
        ({"parts": [[{"n": 1}], [{"n": 2}, {"n": 3}]]}, 3),
        ({"parts": [{"deep": [{"x": 1}, {}]}, {"deep": {"x": 2}}]}, 5),
        ({"parts": {"n": [1, 2, 3]}}, 1),
        ({"a": [{"b": [{}, {}]}, {"b": {}}, {"b": None}, {"c": "d"}]}, 3),
        ({"a.b": [{}, {}], "a": {"b": {}}}, 3),
        ({"off": [{}, {}], "plain": [{}, {}], "unmapped": [{}], "title": "x"}, 0),
    ],
)
def test_each_object_of_a_nested_field_counts(source: dict[str, Any], count: int) -> None:
    assert count_objects(source, BRANCHES) == count


def test_only_fields_with_something_nested_are_kept() -> None:
    assert nested_paths(BRANCHES) == ["parts", "a.b"]
    assert nested_paths(read_branches(MAPPING, without=["parts"])) == ["a.b"]


def test_vectors_of_nested_objects_are_told_from_others() -> None:
    vector = [1.0, 2.0]

    assert may_have_vectors(BRANCHES)
    assert not may_have_vectors(read_branches(MAPPING, without=["parts"]))
    assert not holds_vectors({"top": vector, "parts": [{"n": 1}, {"deep": [{"vector": None}]}]}, BRANCHES)
    assert holds_vectors({"parts": [{"n": 1}, {"deep": {"vector": vector}}]}, BRANCHES)
    assert holds_vectors({"parts": {"in.vector": vector}}, BRANCHES)
    assert holds_vectors({"parts": [{"in": [{"vector": vector}]}]}, BRANCHES)
