"""What a back-fill would take: time, disk and memory, reckoned from a sample and from what engines were measured to do.

Passages, tokens and the encoder's speed are those of the sample. The rest is reckoned: a vector as its index keeps it
(clusters/indices/vector_bytes.py), and in `_source` too where the engine keeps it there; texts in `_source`, as a
stored field and in an inverted index. The figures of engines below were measured on small indices
(docs/measurements/backfill.md says how far off they were)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.planning.sampling import SampledWork
from connector.clusters.indices.vector_bytes import disk_bytes, memory_bytes
from connector.clusters.indices.vector_choices import VectorChoice

NESTED_BYTES = 40.0  # of a nested object: what the engine keeps of any document
NUMBER_BYTES = 9.0  # of a component in `_source`: its digits, compressed
OPENSEARCH_MORE = 1.4  # times what OpenSearch takes for it
STORED_SHARE, INDEXED_SHARE = 0.6, 0.4  # of a text's bytes: kept twice (`_source`, stored field); its inverted index
DOCUMENT_MS, COMPONENT_US = 1.0, 3.0  # of an update by one writer


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a back-fill of one index would take. Seconds are those of the encoder and of the writes alone, which go side
    by side; bytes are of all copies, once merged. `rewritten_bytes` is what the documents' former versions take beside,
    until segments are merged. `memory` is what searches should find in memory, by each way to index vectors."""

    documents: int
    sampled: int
    without_text: int
    passages: int
    passages_error: float
    most_passages: int
    tokens: int
    tokens_per_s: float
    encode_s: float
    write_s: float
    vector_bytes: int
    source_bytes: int
    text_bytes: int
    rewritten_bytes: int
    memory: Mapping[str, int]
    chosen: str
    copies: int

    @property
    def seconds(self) -> float:
        return max(self.encode_s, self.write_s)

    @property
    def disk_bytes(self) -> int:
        return self.vector_bytes + self.source_bytes + self.text_bytes

    def describe(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": self.seconds, "disk_bytes": self.disk_bytes}


def estimate(
    facts: Facts,
    sample: SampledWork,
    *,
    dims: int,
    m: int,
    chosen: VectorChoice,
    choices: Sequence[VectorChoice],
    writers: int,
    index_bytes: int,
) -> Estimate:
    """The estimate for all documents of the index, whose primaries take `index_bytes` today."""
    documents = facts.documents or 0
    scale = documents / sample.documents if sample.documents else 0.0
    passages = round(sum(sample.passages) * scale)
    tokens = round(sample.tokens * scale)
    copies = 1 + int(facts.setting("number_of_replicas", "0") or 0)
    in_source = _source_bytes_of_vector(facts, dims)
    return Estimate(
        documents=documents,
        sampled=sample.documents,
        without_text=round(sample.without_text * scale),
        passages=passages,
        passages_error=sample.error,
        most_passages=sample.most_passages,
        tokens=tokens,
        tokens_per_s=sample.tokens_per_s,
        encode_s=tokens / sample.tokens_per_s if sample.tokens_per_s else 0.0,
        write_s=(documents * DOCUMENT_MS / 1e3 + passages * dims * COMPONENT_US / 1e6) / max(writers, 1),
        vector_bytes=round(copies * passages * (disk_bytes(chosen, dims, m) + NESTED_BYTES)),
        source_bytes=round(copies * passages * in_source),
        text_bytes=round(copies * sample.text_bytes * scale * (2 * STORED_SHARE + INDEXED_SHARE)),
        rewritten_bytes=copies * index_bytes,
        memory={choice.name: round(passages * memory_bytes(choice, dims, m)) for choice in choices},
        chosen=chosen.name,
        copies=copies,
    )


def _source_bytes_of_vector(facts: Facts, dims: int) -> float:
    """What one vector takes in `_source`: nothing where the engine leaves it out, or makes it of the index's files."""
    if facts.is_elasticsearch:
        return 0.0 if facts.is_set("mapping.exclude_source_vectors") else dims * NUMBER_BYTES
    return 0.0 if facts.is_set("knn.derived_source.enabled") else OPENSEARCH_MORE * dims * NUMBER_BYTES
