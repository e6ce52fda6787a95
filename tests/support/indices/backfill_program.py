"""A back-fill in a process of its own, with the encoder of words: URL, index, folder. Prints its counts."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.indices.backfills import WordEncoder, plan_for

from connector.backfill.fields import put_fields
from connector.backfill.in_place.job import BackfillJob
from connector.clusters.connect import connect
from connector.clusters.rest import RestCluster
from connector.settings.sections import ClusterSettings, IngestSettings


async def main(url: str, index: str, folder: str) -> None:
    cluster = await connect(ClusterSettings(url=url))
    assert isinstance(cluster, RestCluster)
    try:
        plan = await plan_for(cluster, index, {"title": 2.0, "body": 1.0})
        await put_fields(cluster, plan)
        settings = IngestSettings(group_documents=8, backoff_s=0.05)
        job = BackfillJob(cluster, plan, WordEncoder(), settings, expected=1, rejects=Path(folder) / "rejects")
        print(json.dumps(asdict((await job.run()).counts)))
    finally:
        await cluster.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
