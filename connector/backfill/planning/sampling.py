"""A random sample of an index's documents, cut and encoded as a back-fill would; nothing is written."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from connector.backfill.fields import BackfillPlan
from connector.backfill.passages import build_passages
from connector.backfill.planning.reading import build_random_query
from connector.backfill.scan import STATS_GROUP, FoundDocument, build_asked, read_found
from connector.clusters.paths import index_path
from connector.clusters.rest import RestCluster
from connector.models.encoder import Encoder

TIMEOUT_S = 60.0
SAMPLED_DOCUMENTS = 300
WARM_UP = 8  # passages: the first call of an encoder is slow
MOST_ENCODED = 256  # passages of the sample, so that a dry run takes seconds


@dataclass(frozen=True, slots=True)
class SampledWork:
    """What the sample holds: passages and their characters of each document, tokens and bytes of all passages; and how
    long it took to encode so many tokens. `most_nested` is how many nested objects a document would have at most, where
    its others are counted."""

    documents: int
    without_text: int
    passages: tuple[int, ...]
    tokens: int
    text_bytes: int
    encoded_tokens: int
    encode_s: float
    most_nested: int = 0

    @property
    def passages_of_document(self) -> float:
        return sum(self.passages) / self.documents if self.documents else 0.0

    @property
    def most_passages(self) -> int:
        return max(self.passages, default=0)

    @property
    def error(self) -> float:
        """The share by which the mean of passages may be off (two standard errors); 0 where all are alike."""
        mean = self.passages_of_document
        if len(self.passages) < 2 or not mean:
            return 0.0
        return 2 * statistics.stdev(self.passages) / math.sqrt(len(self.passages)) / mean

    @property
    def tokens_per_s(self) -> float:
        return self.encoded_tokens / self.encode_s if self.encode_s else 0.0


async def read_sample_of(cluster: RestCluster, plan: BackfillPlan) -> list[FoundDocument]:
    """Some hundred documents at random, as a back-fill reads them."""
    body = build_asked(plan) | {
        "query": build_random_query(),
        "size": SAMPLED_DOCUMENTS,
        "track_total_hits": False,
        "seq_no_primary_term": True,
        "version": True,
        "stats": [STATS_GROUP],
    }
    reply = await cluster.client.request("POST", index_path(plan.index, "_search"), body=body, timeout_s=TIMEOUT_S)
    return [read_found(hit, plan) for hit in reply["hits"]["hits"]]


def measure_sample(plan: BackfillPlan, documents: Sequence[FoundDocument], encoder: Encoder) -> SampledWork:
    """Cut all, and encode some at random (they come in random order), for the time that it takes."""
    built = build_passages(plan, [(document.doc_id, document.texts) for document in documents], encoder.token_offsets)
    texts = [passage.text for passages, _ in built for passage in passages]
    tokens = [len(spans) for spans in encoder.token_offsets(texts)] if texts else []
    timed = slice(0, MOST_ENCODED)
    encode_s = 0.0
    if texts:
        encoder.encode(texts[:WARM_UP])
        started = time.perf_counter()
        encoder.encode(sorted(texts[timed], key=len))
        encode_s = time.perf_counter() - started
    return SampledWork(
        documents=len(documents),
        without_text=sum(not passages for passages, _ in built),
        passages=tuple(len(passages) for passages, _ in built),
        tokens=sum(tokens),
        text_bytes=sum(len(text.encode()) for text in texts),
        encoded_tokens=sum(tokens[timed]),
        encode_s=encode_s,
        most_nested=max(
            (len(cut) + document.other_nested for (cut, _), document in zip(built, documents, strict=True)), default=0
        ),
    )
