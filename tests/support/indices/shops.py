"""An index of a shop that two applications write to, and whether it holds what they wrote last, with the passages and
vectors of just that."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.indices.backfills import WordEncoder, plan_for
from support.indices.shop_writers import ShopWriter
from support.indices.somebody import TEXT, Somebody

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.passages import build_passages
from connector.clusters.rest import RestCluster
from connector.settings.sections import IngestSettings

ENCODER = WordEncoder()
SMALL = IngestSettings(group_documents=16, backoff_s=0.05)
DOCUMENTS = 120
WRITERS = 2
MAPPINGS = {
    "properties": {"title": TEXT, "body": TEXT, "price": {"type": "integer"}, "n": {"type": "long"}},
    "_meta": {"owner": "shop"},
}


async def open_shop(somebody: Somebody, shards: int = 2) -> tuple[RestCluster, BackfillPlan, list[ShopWriter]]:
    """An index that two applications have filled, with our fields in its mapping."""
    assert isinstance(somebody.cluster, RestCluster)
    settings = somebody.knn | {"index.number_of_shards": shards}
    index = somebody.make(MAPPINGS, settings=settings)
    writers = [ShopWriter(somebody.cluster.url, index, f"app{at}", seed=at) for at in range(WRITERS)]
    for writer in writers:
        await writer.fill(DOCUMENTS // WRITERS)
    plan = await plan_for(somebody.cluster, index, {"title": 2.0, "body": 1.0})
    await put_fields(somebody.cluster, plan)
    return somebody.cluster, plan, writers


async def read_all(somebody: Somebody, index: str) -> dict[str, dict[str, Any]]:
    """Every document with all that it holds, vectors too."""
    somebody.send("POST", f"/{index}/_refresh")
    body: dict[str, Any] = {"size": 5_000, "version": True}
    if str(somebody.cluster.engine).startswith("elasticsearch 9"):  # which leaves vectors out else
        body["_source"] = {"exclude_vectors": False}
    reply = somebody.send("POST", f"/{index}/_search", body)
    return {hit["_id"]: hit["_source"] for hit in reply["hits"]["hits"]}


def check_index(found: dict[str, dict[str, Any]], plan: BackfillPlan, writers: list[ShopWriter]) -> None:
    """The index holds what the applications wrote last, and the passages and vectors of just that."""
    expected = {doc_id: source for writer in writers for doc_id, source in writer.documents.items()}
    names = plan.added.names
    theirs = {
        doc_id: {name: value for name, value in source.items() if name not in (names.passages, names.marker)}
        for doc_id, source in found.items()
    }

    assert theirs == expected

    texts = {
        doc_id: {name: source[name] for name in ("title", "body") if source.get(name)}
        for doc_id, source in expected.items()
    }
    built = build_passages(plan, list(texts.items()), ENCODER.token_offsets)
    for doc_id, (passages, marker) in zip(texts, built, strict=True):
        source = found[doc_id]
        vectors = ENCODER.encode([passage.text for passage in passages])

        assert source[names.marker][-1] == marker, doc_id
        assert [passage["text"] for passage in source[names.passages]] == [passage.text for passage in passages]
        assert np.allclose([passage["vector"] for passage in source[names.passages]] or vectors, vectors, atol=1e-4)
