"""How far an index of vectors is behind the one that it stands beside, by a look at both."""

from __future__ import annotations

import time
from dataclasses import dataclass

from connector.clusters.beside.index import BY_VALUES, BesideIndex
from connector.clusters.dialect import DOC_ID, JSON
from connector.clusters.reading.hits import read_doc_id

LOOKED_AT = 5_000  # documents of each that are compared: of theirs the last written


@dataclass(frozen=True, slots=True)
class BesideLag:
    """Of `looked_at` documents of theirs, the last written, how many are `missing` in ours, and how many were
    `written_since` they were read; and how many of as many of ours are `gone` from theirs. `whole`: all were looked
    at."""

    documents: int
    held: int
    looked_at: int
    missing: int
    written_since: int
    gone: int

    @property
    def whole(self) -> bool:
        return max(self.documents, self.held) <= LOOKED_AT


async def measure_lag(index: BesideIndex, *, timeout_s: float) -> BesideLag:
    """Compare both. Raises ClusterError."""
    end = time.monotonic() + timeout_s
    newest: JSON = {
        "size": LOOKED_AT,
        "_source": False,
        "seq_no_primary_term": True,
        "sort": [{"_seq_no": "desc"}],
        "track_total_hits": True,
    }
    reply = await index.ask(newest, end - time.monotonic())
    written = {read_doc_id(hit, index.schema): (hit["_seq_no"], hit["_primary_term"]) for hit in reply["hits"]["hits"]}
    known = await index.read_versions(list(written), timeout_s=end - time.monotonic())
    first: JSON = {"size": LOOKED_AT, "sort": [{DOC_ID: "asc"}], "track_total_hits": True}
    ours = await index.vectors.ask(first | BY_VALUES, end - time.monotonic())
    held = [read_doc_id(hit, index.vectors.schema) for hit in ours["hits"]["hits"]]
    gone = await index.find_gone(held, timeout_s=end - time.monotonic())
    return BesideLag(
        documents=int(reply["hits"]["total"]["value"]),
        held=int(ours["hits"]["total"]["value"]),
        looked_at=len(written),
        missing=len(written.keys() - known.keys()),
        written_since=sum(known[doc_id][:2] != at for doc_id, at in written.items() if doc_id in known),
        gone=len(gone),
    )
