"""What `_meta` says of a back-fill, and what makes a document's passages out of date."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.indices.backfills import WORDS

from connector.backfilled import META_KEY, AddedNames, Backfilled, find_added, read_added_names, without_ours
from connector.errors import SettingsError
from connector.schema import PassageSettings

ADDED = Backfilled(WORDS, {"title": 2.0, "body": 1.0}, PassageSettings(0, 16))


def test_meta_says_all_of_it_beside_what_is_there() -> None:
    meta = ADDED.to_meta({"owner": "shop"})

    assert Backfilled.from_meta(meta) == ADDED
    assert list(Backfilled.from_meta(meta).text) == ["title", "body"]  # type: ignore[union-attr]
    assert without_ours(meta) == {"owner": "shop"}
    assert Backfilled.from_meta({"owner": "shop"}) is None


def test_what_another_version_added_can_be_taken_out() -> None:
    ours = {META_KEY: {"version": 99, "names": {"passages": "pieces", "unheard_of": "x"}}}

    assert read_added_names(ours) == AddedNames("pieces")
    assert read_added_names({"owner": "shop"}) is None
    assert read_added_names(ADDED.to_meta({})) == ADDED.names


def test_what_was_added_to_a_document_is_told_by_its_marker_alone() -> None:
    marker = ADDED.marker_values(ADDED.marker({"title": "Cold rooms"}, has_passages=True))
    theirs = {"made_of": ["passages", "oak"], "passages_of": "a monk", "size_of": ["a:b", "a"], "part_of": [1, 2]}

    assert find_added(theirs) == set()
    for values in (marker, sorted(marker), ADDED.marker_values(ADDED.without_text)):
        assert find_added(theirs | {"shop": [], "shop_of": values}) == {"shop", "shop_of"}


def test_meta_of_another_version_is_refused_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match="--undo"):
        Backfilled.from_meta({META_KEY: {"version": 99}})


@pytest.mark.parametrize(
    "other",
    [
        replace(ADDED, encoder=replace(WORDS, sha256="other")),
        replace(ADDED, encoder=replace(WORDS, passage_prompt="passage: ")),
        replace(ADDED, text={"body": 1.0, "title": 2.0}),
        replace(ADDED, passages=PassageSettings(64, 16)),
    ],
)
def test_what_makes_other_passages_is_another_generation(other: Backfilled) -> None:
    assert other.generation != ADDED.generation


@pytest.mark.parametrize(
    "same",
    [replace(ADDED, encoder=replace(WORDS, name="a copy")), replace(ADDED, text={"title": 1.0, "body": 9.0})],
)
def test_what_makes_the_same_passages_is_the_same_generation(same: Backfilled) -> None:
    assert same.generation == ADDED.generation


def test_a_marker_is_of_the_generation_and_of_the_texts() -> None:
    marker = ADDED.marker({"title": "a", "body": "b"}, has_passages=True)

    assert marker.startswith(f"{ADDED.generation}:")
    assert marker == ADDED.marker({"body": "b", "title": "a"}, has_passages=True)
    assert marker != ADDED.marker({"title": "ab"}, has_passages=True)
    assert ADDED.without_text == f"{ADDED.generation}:none"
    assert AddedNames("vectors_of_ours").marker == "vectors_of_ours_of"
