"""A small index of a shop, back-filled or about to be, and what `connector follow` opens for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.indices.backfills import WordEncoder, plan_for
from support.indices.shops import ENCODER, MAPPINGS
from support.indices.somebody import Somebody

from connector.backfill.fields import BackfillPlan, put_fields
from connector.backfill.keeping_up.finding import InPlaceVectors
from connector.backfill.keeping_up.preparing import EncoderCache, Ready
from connector.backfill.keeping_up.run import FollowedIndices
from connector.clusters.rest import RestCluster
from connector.errors import WorkerUnavailable
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import Vectors


async def small_shop(somebody: Somebody, documents: int) -> tuple[RestCluster, BackfillPlan]:
    """An index of one shard that nobody writes to any more, with our fields in its mapping."""
    assert isinstance(somebody.cluster, RestCluster)
    index = somebody.make(MAPPINGS, *({"title": f"Shelf {at}"} for at in range(documents)), settings=somebody.knn)
    plan = await plan_for(somebody.cluster, index, {"title": 2.0, "body": 1.0})
    await put_fields(somebody.cluster, plan)
    return somebody.cluster, plan


def followed_of(cluster: RestCluster, plan: BackfillPlan, *others: WordEncoder) -> FollowedIndices:
    """What `connector follow` opens for one index, with encoders that need not be loaded."""
    settings = settings_of(cluster.url, plan.index)
    encoders = encoders_of(settings, *others)
    ready = Ready(InPlaceVectors(plan.index, plan.added, is_other=False), ENCODER, 0, plan)
    return FollowedIndices(cluster, settings, [ready], encoders)


def settings_of(url: str, index: str) -> Settings:
    """Those of a command that looks often."""
    overrides: dict[str, Any] = {"cluster.url": url, "index.name": index, "follow.every_s": 0.1}
    return load_settings(environ={}, overrides=overrides)


def encoders_of(settings: Settings, *others: WordEncoder) -> EncoderCache:
    """Encoders that are loaded already."""
    encoders = EncoderCache(settings)
    encoders._loaded = {settings.encoder.model: ENCODER} | {encoder.fingerprint.name: encoder for encoder in others}
    return encoders


class AwayAtFirst(WordEncoder):
    """The encoder of a worker that is started anew just then."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += 1
        if self.asked == 1:
            raise WorkerUnavailable("no worker there")
        return super().encode(texts)
