"""Pages of a store that fails in between."""

from __future__ import annotations

from typing import Any

import pytest
from support.searches import PATIENT, Broken, ids, search

from connector.clusters.embedded.index import EmbeddedIndex
from connector.errors import AccessDenied, ClusterError
from connector.settings.sections import Settings

OFF = {"rerank": "off", "legs": {"dense": "off"}}
SETTINGS = Settings.model_validate({"search": PATIENT | OFF | {"k": 2, "depth": 2}})


class Freezing(Broken):
    """The index, which works in the present and fails in a state that stands still."""

    async def as_of(self, view: str, keep_s: int) -> Any:
        return Broken(await self._index.as_of(view, keep_s), **self._faults)


async def page(index: Any, cursor: str | bool | None) -> Any:
    return await search(index, None, "red fish", settings=SETTINGS, cursor=cursor)


async def test_a_store_that_keeps_no_state_leaves_an_answer_without_a_cursor(index: EmbeddedIndex) -> None:
    for fault in (ClusterError("it keeps none"), AccessDenied("may not", status=403)):
        response = await page(Broken(index, open_view=fault), True)

        assert (len(response.hits), response.cursor) == (2, None)
        assert [(missing.stage, missing.reason) for missing in response.degraded] == [("view", str(fault))]


async def test_a_page_that_comes_back_short_can_be_asked_for_again(index: EmbeddedIndex) -> None:
    first = await page(index, True)
    short = await page(Freezing(index, lexical_after=ClusterError("a shard failed")), first.cursor)
    again = await page(index, short.cursor)

    assert (ids(short), [missing.stage for missing in short.degraded]) == ([], ["lexical"])
    assert len(set(ids(first) + ids(again))) == 4
    assert again.degraded == ()


async def test_hits_without_their_fields_are_said_to_be_so(index: EmbeddedIndex) -> None:
    first = await page(index, True)
    bare = await page(Freezing(index, content=ClusterError("no fields")), first.cursor)

    assert ids(bare)
    assert [missing.stage for missing in bare.degraded] == ["fields"]
    with pytest.raises(AccessDenied, match="may not"):
        await page(Freezing(index, content=AccessDenied("may not", status=403)), first.cursor)
