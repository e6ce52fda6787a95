"""Documents that are deleted between the legs and the reading of their fields, on all five stores."""

from __future__ import annotations

from typing import Any

from support.parts import HashEncoder
from support.searches import ids

from connector.clusters.protocol import Cluster, Index
from connector.contract.synthetic import DIMS, make_documents, schema
from connector.search.searcher import Searcher
from connector.settings.sections import Settings
from connector.types import HitContent, SearchRequest, SearchResponse

DOCUMENTS = make_documents(16)
SETTINGS = Settings.model_validate(
    {"search": {"k": 4, "depth": 8, "deadline_s": 30.0, "rerank": "off", "cursor_key": "sixteen characters"}}
)


class DeletedMeanwhile:
    """The index, of which some documents are deleted each time before what hits show of their documents is read."""

    def __init__(self, index: Any, present: Index, doomed: list[list[str]]) -> None:
        self._index, self._present, self._doomed = index, present, doomed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def content(self, doc_ids: list[str], **options: Any) -> dict[str, HitContent]:
        if self._doomed:
            await self._present.remove(self._doomed.pop(0))
            await self._present.finish()
        found: dict[str, HitContent] = await self._index.content(doc_ids, **options)
        return found

    async def as_of(self, view: str, keep_s: int) -> DeletedMeanwhile:
        return DeletedMeanwhile(await self._index.as_of(view, keep_s), self._present, self._doomed)


async def search(index: Any, **request: Any) -> SearchResponse:
    searcher = Searcher(index, HashEncoder(DIMS), {}, SETTINGS)
    try:
        return await searcher.search(SearchRequest("report passage2", **request))
    finally:
        searcher.close()


async def test_what_is_deleted_before_its_fields_are_read_is_no_hit(cluster: Cluster, index_name: str) -> None:
    made = await cluster.create_index(index_name, schema())
    await made.write(DOCUMENTS)
    await made.finish()
    whole = ids(await search(made, k=16))
    pages = [await search(DeletedMeanwhile(made, made, [[whole[0]], [whole[6]]]), cursor=True)]
    while pages[-1].cursor:
        pages.append(await search(DeletedMeanwhile(made, made, []), cursor=pages[-1].cursor))

    assert sorted(doc_id for page in pages for doc_id in ids(page)) == sorted(
        indexed.document.doc_id for indexed in DOCUMENTS
    )  # of a state that stands still nothing is deleted
    assert all(hit.fields for page in pages for hit in page.hits)
    assert not any(page.notes for page in pages)

    left = ids(await search(made, k=16))
    doomed = [[left[0], left[2]], [left[5]]]  # the last of them is among those that move up
    response = await search(DeletedMeanwhile(made, made, doomed))

    assert ids(response) == [left[1], left[3], left[4], left[6]]
    assert [hit.rank for hit in response.hits] == [1, 2, 3, 4]
    assert all(hit.fields["title"] for hit in response.hits)
    assert response.notes == ("3 documents that were found are no hits: deleted while the search ran",)
    assert response.degraded == ()
