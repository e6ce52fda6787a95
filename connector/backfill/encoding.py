"""Found documents -> what is to be written into them: their passages with vectors, and their marker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from connector.backfill.fields import BackfillPlan
from connector.backfill.passages import build_passages
from connector.backfill.scan import FoundDocument
from connector.backfill.too_long import is_too_long
from connector.backfill.write import PassageUpdate
from connector.ingest.encoding import NO_NUMBER as NO_NUMBER
from connector.ingest.encoding import encode_in_steps
from connector.models.encoder import Encoder

NO_VECTORS = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A document that needs another look: one that lacks passages, or (`has_passages`) has those of another text."""

    document: FoundDocument
    has_passages: bool


@dataclass(frozen=True, slots=True)
class EncodedWork:
    """What is to be written; the documents that are right as they are; those that cannot be encoded, and those that
    would have too many nested objects. Where it `is_whole`, that is all of them; others were not reached before the job
    was to stop."""

    updates: Sequence[PassageUpdate]
    unchanged: Sequence[FoundDocument]
    failed: Sequence[FoundDocument]
    too_long: Sequence[FoundDocument] = ()
    is_whole: bool = True


def encode_group(
    plan: BackfillPlan, items: Sequence[WorkItem], encoder: Encoder, stopping: Callable[[], bool]
) -> EncodedWork:
    """Cut and encode a group of documents."""
    built = build_passages(plan, [(item.document.doc_id, item.document.texts) for item in items], encoder.token_offsets)
    unchanged, too_long, todo = list[FoundDocument](), list[FoundDocument](), list[PassageUpdate]()
    for item, (passages, marker) in zip(items, built, strict=True):
        document = item.document
        if is_too_long(plan, document, len(passages)):
            too_long.append(document)
        elif item.has_passages and document.marker == marker:
            unchanged.append(document)
        else:
            todo.append(PassageUpdate(document, passages, NO_VECTORS, marker))
    vectors, encoded = encode_in_steps(
        encoder, [passage.text for update in todo for passage in update.passages], stopping
    )
    updates, failed, start = [], [], 0
    for update in todo:
        own = slice(start, start + len(update.passages))
        start = own.stop
        if encoded[own].all():
            if np.isfinite(vectors[own]).all():
                updates.append(replace(update, vectors=vectors[own]))
            else:
                failed.append(update.document)
    is_whole = len(updates) + len(failed) == len(todo)
    return EncodedWork(updates, unchanged, failed, too_long, is_whole)
