"""Documents that are deleted while a search runs: no hits, and what was behind them moves up; embedded store."""

from __future__ import annotations

from typing import Any

from support.searches import PLAIN, Broken, ids, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import ClusterError
from connector.rerankers.worker import WorkerClient
from connector.search.pages.digest import digest_of
from connector.search.pages.frozen import FrozenHit, FrozenOrder
from connector.search.pages.signature import Signer
from connector.settings.sections import Settings
from connector.types import SearchRequest

ONE_DELETED = "1 document that was found is no hit: deleted while the search ran"
KEY = "sixteen characters"


class Deleting:
    """The index, of which documents are deleted before it is asked what `at` names for the first time."""

    def __init__(self, index: EmbeddedIndex, at: str, *doomed: str, within: Any = None) -> None:
        self._index, self._at, self._doomed, self._within = index, at, list(doomed), within

    @property
    def results_page(self) -> Any:
        return Deleting(self._index, self._at, *self._doomed, within=self._index.results_page)

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._within or self._index, name)
        if name != self._at or not self._doomed:
            return asked

        async def delete_first(*args: Any, **options: Any) -> Any:
            doomed, self._doomed = self._doomed, []
            await self._index.remove(doomed)
            return await asked(*args, **options)

        return delete_first


async def test_a_reranked_document_that_is_deleted_is_no_hit(index: EmbeddedIndex, worker: WorkerClient) -> None:
    response = await search(Deleting(index, "get", "e"), worker, k=2)

    assert next((hit.doc_id, hit.rank, hit.stage) for hit in response.hits) == ("a", 1, "local")
    assert len(response.hits) == 2
    assert all(hit.fields and hit.passage for hit in response.hits)
    assert response.notes == (ONE_DELETED,)
    assert [hit.doc_id for hit in response.rankings["local"]][:2] == ["e", "a"]  # as each part said it


async def test_where_nothing_is_left_there_is_no_hit(index: EmbeddedIndex) -> None:
    response = await search(Deleting(index, "content", "a", "b", "c", "d", "e"), None)

    assert response.hits == ()
    assert response.notes == ("5 documents that were found are no hits: deleted while the search ran",)
    assert response.degraded == ()


async def test_a_group_shows_its_first_document_that_is_left(index: EmbeddedIndex) -> None:
    assert ids(await search(index, None, collapse="kind")) == ["e", "a", "b", "d"]  # c is a fish, as a is

    before = await search(Deleting(index, "groups", "e"), None, collapse="kind")
    after = await search(Deleting(index, "content", "a"), None, collapse="kind")

    assert ids(before) == ["a", "b", "d"]
    assert sorted(ids(after)) == ["b", "c", "d"]
    assert [before.notes, after.notes] == [(ONE_DELETED,), (ONE_DELETED,)]


async def test_those_that_move_up_without_their_fields_are_said_to_be_so(index: EmbeddedIndex) -> None:
    class FailingThen(Broken):
        """The index, which gives contents once."""

        async def content(self, *args: Any, **options: Any) -> Any:
            if self._faults.setdefault("asked", 0):
                raise ClusterError("no more contents")
            self._faults["asked"] = 1
            return await self._index.content(*args, **options)

    first = ids(await search(index, None))[0]
    deleting: Any = Deleting(index, "content", first)
    failing: Any = FailingThen(deleting)
    response = await search(failing, None, k=2)

    assert [bool(hit.fields) for hit in response.hits] == [True, False]
    assert [missing.reason for missing in response.degraded] == ["no more contents"]
    assert response.notes == (ONE_DELETED,)


async def test_a_page_behind_a_cursor_leaves_out_what_is_not_there_and_ranks_on(index: EmbeddedIndex) -> None:
    settings = Settings.model_validate({"search": PLAIN.search.model_dump() | {"cursor_key": KEY, "rerank": []}})
    left = tuple(FrozenHit(doc_id, 1.0, "fused") for doc_id in ("a", "gone", "c", "also gone", "d", "e"))
    digest = digest_of(SearchRequest("red fish", k=2, cursor=True), settings.search)
    order = FrozenOrder("docs", digest, await index.open_view(60, timeout_s=5.0), 3, left, None)
    first = await search(index, None, settings=settings, k=2, cursor=order.write(Signer(KEY), order.view, 60))
    second = await search(index, None, settings=settings, k=2, cursor=first.cursor)

    assert [(hit.doc_id, hit.rank) for hit in (*first.hits, *second.hits)] == [("a", 4), ("c", 5), ("d", 6), ("e", 7)]
    assert [first.notes, second.notes] == [(ONE_DELETED,), (ONE_DELETED,)]
    assert second.cursor is None
