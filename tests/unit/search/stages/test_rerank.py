"""Which pairs of a window are scored, and how scores become a ranking."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st
from support.parts import ids, passage

from connector.rerankers.worker import WorkerClient
from connector.search.stages.pairs import Reranked, rerank, select_pairs
from connector.types import Hit, Ranking


def hit(doc_id: str, *ordinals: int, score: float = 1.0) -> Hit:
    return Hit(doc_id, score, tuple(passage(doc_id, ordinal) for ordinal in ordinals))


def names(passages: list) -> list[str]:
    return [found.passage_id for found in passages]


WINDOW = (hit("a", 0, 1, 2), hit("b", 5), hit("c", 3, 4))


def test_every_document_has_its_first_passage_scored_before_any_has_its_second() -> None:
    pairs = select_pairs(WINDOW, passages=2, max_pairs=99)

    assert names(pairs) == ["a#0", "b#5", "c#3", "a#1", "c#4"]


def test_no_document_has_more_passages_scored_than_asked_for() -> None:
    pairs = select_pairs(WINDOW, passages=1, max_pairs=99)

    assert names(pairs) == ["a#0", "b#5", "c#3"]


def test_the_cap_of_pairs_falls_on_second_passages_first() -> None:
    pairs = select_pairs(WINDOW, passages=3, max_pairs=4)

    assert names(pairs) == ["a#0", "b#5", "c#3", "a#1"]


def test_a_document_without_text_makes_no_pair() -> None:
    pairs = select_pairs((hit("empty"), hit("b", 5)), passages=2, max_pairs=99)

    assert names(pairs) == ["b#5"]


@given(st.lists(st.integers(0, 4), max_size=8), st.integers(1, 4), st.integers(1, 20))
def test_pairs_are_bounded_and_never_repeat(counts: list[int], passages: int, max_pairs: int) -> None:
    window = tuple(hit(f"d{number}", *range(count)) for number, count in enumerate(counts))

    pairs = select_pairs(window, passages=passages, max_pairs=max_pairs)

    assert len(pairs) == min(max_pairs, sum(min(count, passages) for count in counts))
    assert len(set(names(pairs))) == len(pairs)
    assert [pair.ordinal for pair in pairs] == sorted(pair.ordinal for pair in pairs)


async def rerank_over_http(
    url: str, window: Ranking, *, passages: int = 2, max_pairs: int = 10, query: str = "red fish"
) -> Reranked:
    client = WorkerClient(url)
    try:
        with closing(client.expect(timeout_s=120)) as turn:
            return await rerank(
                query,
                window,
                client,
                passages=passages,
                max_pairs=max_pairs,
                weights=None,
                turn=turn,
                least=1,
                timeout_s=120,
            )
    finally:
        await client.close()


async def test_a_document_counts_by_its_best_passage(worker_url: str) -> None:
    window = (
        Hit("a", 1.0, (passage("a", 0, "blue bird"), passage("a", 1, "red fish"))),
        Hit("b", 0.9, (passage("b", 0, "red bird"),)),
    )

    reranked = await rerank_over_http(worker_url, window)

    assert reranked.ranking == (
        Hit("a", 1.0, (passage("a", 1, "red fish"),)),
        Hit("b", 0.5, (passage("b", 0, "red bird"),)),
    )


async def test_documents_beyond_the_cap_are_left_out(worker_url: str) -> None:
    window = tuple(Hit(name, 1.0, (passage(name, 0, "red"),)) for name in "abc")

    reranked = await rerank_over_http(worker_url, window, max_pairs=2)

    assert ids(reranked.ranking) == ["a", "b"]


async def test_equal_scores_are_ordered_by_doc_id(worker_url: str) -> None:
    window = tuple(Hit(name, 1.0, (passage(name, 0, "red"),)) for name in "zma")

    reranked = await rerank_over_http(worker_url, window)

    assert ids(reranked.ranking) == ["a", "m", "z"]


async def test_a_document_with_a_cut_passage_is_named(worker_url: str) -> None:
    window = (
        Hit("a", 1.0, (passage("a", 0, "red"), passage("a", 1, "fish " * 900))),
        Hit("b", 1.0, (passage("b", 0, "red"),)),
    )

    reranked = await rerank_over_http(worker_url, window)

    assert reranked.truncated == {"a"}


async def test_a_window_without_text_asks_the_worker_nothing() -> None:
    client = WorkerClient("http://127.0.0.1:9")

    with closing(client.expect(timeout_s=1)) as turn:
        reranked = await rerank(
            "q", (hit("a"),), client, passages=2, max_pairs=9, weights=None, turn=turn, least=1, timeout_s=1
        )

    assert reranked.ranking == ()
