"""From the texts of a document to its passages, and the marker that says of what they were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connector.backfill.fields import BackfillPlan
from connector.backfill.scan import FoundDocument
from connector.ingest.passages import cut
from connector.text import normalise_text
from connector.types import Document, Passage

TokenOffsets = Callable[[Sequence[str]], list[list[tuple[int, int]]]]


def build_passages(
    plan: BackfillPlan, documents: Sequence[tuple[str, Mapping[str, str]]], token_offsets: TokenOffsets
) -> list[tuple[tuple[Passage, ...], str]]:
    """The passages of each document (its id, and its texts by field), as an ingest would cut them, and its marker."""
    limit = plan.added.encoder.max_tokens
    cuts = cut(
        [Document(doc_id, texts) for doc_id, texts in documents],
        plan.schema,
        max_tokens=min(plan.added.passages.max_tokens or limit, limit),
        token_offsets=token_offsets,
    )
    return [
        (passages, plan.added.marker(texts, has_passages=bool(passages)))
        for passages, (_, texts) in zip(cuts, documents, strict=True)
    ]


def is_of_its_text(plan: BackfillPlan, found: FoundDocument) -> bool:
    """Whether the marker of a document is of the texts that it has now."""
    if any(normalise_text(text).strip() for text in found.texts.values()):
        return found.marker == plan.added.marker(found.texts, has_passages=True)
    return found.marker == plan.added.without_text
