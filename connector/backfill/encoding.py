"""Found documents -> what is to be written into them: their passages with vectors, and their marker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from connector.backfill.fields import BackfillPlan
from connector.backfill.passages import build_passages
from connector.backfill.scan import FoundDocument
from connector.backfill.write import PassageUpdate
from connector.ingest.encoding import NO_NUMBER as NO_NUMBER
from connector.ingest.encoding import encode_in_steps
from connector.models.encoder import Encoder


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A document that needs another look: one that lacks passages, or (`has_passages`) has those of another text."""

    document: FoundDocument
    has_passages: bool


@dataclass(frozen=True, slots=True)
class EncodedWork:
    """What is to be written; the documents that are right as they are; and those that cannot be encoded. Where it
    `is_whole`, that is all of them; others were not reached before the job was to stop."""

    updates: Sequence[PassageUpdate]
    unchanged: Sequence[FoundDocument]
    failed: Sequence[FoundDocument]
    is_whole: bool = True


def encode_group(
    plan: BackfillPlan, items: Sequence[WorkItem], encoder: Encoder, stopping: Callable[[], bool]
) -> EncodedWork:
    """Cut and encode a group of documents."""
    built = build_passages(plan, [(each.document.doc_id, each.document.texts) for each in items], encoder.token_offsets)
    texts = [passage.text for passages, _ in built for passage in passages]
    vectors, encoded = encode_in_steps(encoder, texts, stopping)
    updates, unchanged, failed, start = [], [], [], 0
    for item, (passages, marker) in zip(items, built, strict=True):
        own = slice(start, start + len(passages))
        start = own.stop
        if item.has_passages and item.document.marker == marker:
            unchanged.append(item.document)
        elif encoded[own].all():
            if np.isfinite(vectors[own]).all():
                updates.append(PassageUpdate(item.document, passages, vectors[own], marker))
            else:
                failed.append(item.document)
    is_whole = len(updates) + len(unchanged) + len(failed) == len(items)
    return EncodedWork(updates, unchanged, failed, is_whole)
