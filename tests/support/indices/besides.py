"""Somebody's index of the synthetic documents, with their vectors in an index of ours beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from support.indices.backfills import WORDS
from support.indices.scratch import send_bulk
from support.indices.somebody import Somebody

from connector.backfill.beside.filling import BesideJob, BesideReport
from connector.backfill.beside.plan import open_beside, plan_beside
from connector.clusters.beside.index import BesideIndex
from connector.clusters.rest import RestCluster
from connector.models.encoder import Encoder
from connector.schema import EncoderFingerprint
from connector.settings.sections import IngestSettings, Settings

TEXT = {"title": 2.0, "text": 1.0}
MAPPING: dict[str, Any] = {
    "properties": {
        "title": {"type": "text"},
        "text": {"type": "text"},
        "tier": {"type": "keyword"},
        "tags": {"type": "keyword"},
        "number": {"type": "long"},
        "price": {"type": "double"},
        "flag": {"type": "boolean"},
        "date": {"type": "date"},
        "extra": {"type": "object", "enabled": False},
    }
}
SETTINGS = Settings.model_validate({"passages": {"overlap_tokens": 4}, "index": {"vectors": {"index": "hnsw"}}})


def cluster_of(somebody: Somebody) -> RestCluster:
    assert isinstance(somebody.cluster, RestCluster)
    return somebody.cluster


def put_all(somebody: Somebody, index: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the documents as an application does, and make them visible."""
    bulk(somebody, [line for doc_id, fields in documents.items() for line in
                    ({"index": {"_index": index, "_id": doc_id}}, fields)])  # fmt: skip
    somebody.send("POST", f"/{index}/_refresh")


def bulk(somebody: Somebody, lines: Sequence[Any]) -> None:
    send_bulk(somebody.client, "/_bulk", lines)


async def make_beside(
    somebody: Somebody,
    index: str,
    encoder: EncoderFingerprint = WORDS,
    *,
    text: Mapping[str, float] = TEXT,
    copied: Iterable[str] | None = None,
) -> BesideIndex:
    """The index with one of vectors beside it, which is empty if it was not there."""
    plan = await plan_beside(
        cluster_of(somebody), index, SETTINGS, encoder, text=text, copied=None if copied is None else [*copied]
    )
    somebody.drop_later(plan.name)
    return await open_beside(cluster_of(somebody), plan)


async def fill_beside(somebody: Somebody, index: BesideIndex, encoder: Encoder, **options: Any) -> BesideReport:
    return await BesideJob(cluster_of(somebody), index, encoder, IngestSettings(), **options).run()
