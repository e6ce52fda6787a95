"""A state of an index that stands still while it is written to (`FrozenIndex`): what every store promises of it."""

from __future__ import annotations

import numpy as np
import pytest

from connector.clusters.protocol import Cluster, FrozenIndex, Index
from connector.contract.synthetic import make_documents, schema, unit_vectors
from connector.errors import ViewLost
from connector.lexical import LexicalQuery, Mark
from connector.types import Hit

TIMEOUT_S = 30.0
KEEP_S = 60
ALL = 1_000
DOCUMENTS = make_documents(60)
FIRST, LATER = DOCUMENTS[:40], DOCUMENTS[40:]
EVERY = LexicalQuery("report passage2")  # every title has the first word, some passages have the second
VECTOR = unit_vectors(np.random.default_rng(3), 1)[0]


async def lexical(index: Index | FrozenIndex, depth: int = ALL) -> list[Hit]:
    answer = await index.lexical(EVERY, depth=depth, filter=None, timeout_s=TIMEOUT_S, passages=0)
    return list(answer.ranking)


async def behind(index: FrozenIndex, mark: Mark, step: int) -> list[Hit]:
    """All hits behind a mark, read in steps."""
    found: list[Hit] = []
    marked = await index.lexical_after(EVERY, mark, depth=step, filter=None, timeout_s=TIMEOUT_S)
    while marked:
        found += [hit for hit, _ in marked]
        marked = await index.lexical_after(EVERY, marked[-1].mark, depth=step, filter=None, timeout_s=TIMEOUT_S)
    return found


async def test_a_state_stands_still_while_documents_are_written_changed_and_removed(
    cluster: Cluster, index_name: str
) -> None:
    index = await cluster.create_index(index_name, schema())
    await index.write(FIRST)
    await index.finish()
    frozen = await index.as_of(await index.open_view(KEEP_S, timeout_s=TIMEOUT_S), KEEP_S)
    before = await lexical(frozen)
    near = await frozen.dense(VECTOR, depth=ALL, filter=None, timeout_s=TIMEOUT_S)
    removed = before[7].doc_id

    await index.write(LATER)
    await index.remove([removed, before[30].doc_id])
    await index.finish()

    assert len(before) == len(FIRST)
    assert removed not in {hit.doc_id for hit in await lexical(index)}
    assert await lexical(frozen) == before
    assert await frozen.dense(VECTOR, depth=ALL, filter=None, timeout_s=TIMEOUT_S) == near
    assert removed in await frozen.get([removed], fields=None, timeout_s=TIMEOUT_S)
    assert removed in await frozen.content([removed], query="report", vector=None, timeout_s=TIMEOUT_S)
    for place in (0, 5, 39):  # from a score on, and hits of the same score are among what follows
        expected = [hit for hit in before if hit.score <= before[place].score]
        found = await behind(frozen, Mark(before[place].score), 7)

        assert sorted(hit.doc_id for hit in found) == sorted(hit.doc_id for hit in expected)
        assert [hit.score for hit in found] == [hit.score for hit in expected]
    await frozen.close_view(timeout_s=TIMEOUT_S)


async def test_a_state_that_is_gone_is_an_error_of_its_own(cluster: Cluster, index_name: str) -> None:
    index = await cluster.create_index(index_name, schema())
    await index.write(FIRST[:3])
    await index.finish()
    frozen = await index.as_of(await index.open_view(KEEP_S, timeout_s=TIMEOUT_S), KEEP_S)
    if cluster.engine.kind == "embedded":
        gone = "999"
    else:
        gone = frozen.view
        await frozen.close_view(timeout_s=TIMEOUT_S)

    with pytest.raises(ViewLost, match=f"the state of index {index_name!r} that these pages read is gone"):
        await lexical(await index.as_of(gone, KEEP_S))
