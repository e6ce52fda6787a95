"""Judged queries -> those to learn from, those that decide when to stop, and those that nothing sees before the
measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connector.errors import SourceError
from connector.evaluation.files.datasets import Collection
from connector.evaluation.files.queries import JudgedQuery

FEWEST = 20  # queries that something can be learned from
MOST_HELD_BACK = 100  # queries that decide when to stop: each evaluation reranks for all of them


@dataclass(frozen=True, slots=True)
class Split:
    """Queries to learn from, those that decide when to stop, and those that nothing sees before the measure."""

    train: tuple[JudgedQuery, ...]
    held_back: tuple[JudgedQuery, ...]
    test: tuple[JudgedQuery, ...]


def split_queries(collection: Collection, *, test_share: float, held_back: float, seed: int) -> Split:
    """By chance, the same every time. Raises SourceError where there are too few."""
    learning, test = collection.split(round(len(collection.queries) * test_share), seed=seed)
    kept = min(max(round(len(learning.queries) * held_back), 1), MOST_HELD_BACK)
    train, stopping = learning.split(kept, seed=seed)
    if len(train.queries) < FEWEST:
        raise SourceError(
            f"{collection.name} leaves {len(train.queries)} queries to learn from; at least {FEWEST} are needed. "
            "Judge more queries, or lower --test-share"
        )
    return Split(train.queries, stopping.queries, test.queries)


@dataclass(frozen=True, slots=True)
class TrainingQueries:
    """The collection that is learned from, its parts, and the queries that the training does not see; None where there
    are none."""

    collection: Collection
    split: Split
    unseen: Collection | None


def part_queries(
    collection: Collection,
    tested: Collection | None,
    *,
    test_share: float,
    held_back: float,
    seed: int,
    note: Callable[[str], None],
) -> TrainingQueries:
    """Measured is on the queries of `tested`, or without any on a share of the collection's. `note` hears how many are
    in both. Raises SourceError where there are too few to learn from."""
    learned = _without(collection, tested) if tested else collection
    shared = len(collection.queries) - len(learned.queries)
    if tested and shared:
        note(f"{shared} queries are also in {tested.name}; they are not learned from")
    split = split_queries(learned, test_share=0 if tested else test_share, held_back=held_back, seed=seed)
    unseen = tested or (learned.only(split.test) if split.test else None)
    return TrainingQueries(learned, split, unseen)


def _without(collection: Collection, tested: Collection) -> Collection:
    """The collection without the queries that the model is measured on, which may have other ids there."""
    asked = {query.text for query in tested.queries}
    return collection.only([query for query in collection.queries if query.text not in asked])
