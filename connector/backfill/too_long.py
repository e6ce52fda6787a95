"""Which documents a write of ours would harm, since OpenSearch 3 restores vectors of a document with so many nested
objects wrongly: its partial update reads the document, and stores what it read."""

from __future__ import annotations

from connector.backfill.fields import BackfillPlan
from connector.backfill.scan import FoundDocument


def is_too_long(plan: BackfillPlan, document: FoundDocument, passages: int) -> bool:
    """Whether a document that gets so many passages would have wrong vectors: ours from the next update on, or others
    of its own at once."""
    if plan.most_nested is None:
        return False
    if passages and passages + document.other_nested > plan.most_nested:
        return True
    return _is_restored_wrongly(plan, document) and plan.others.may_have_vectors


def _is_restored_wrongly(plan: BackfillPlan, document: FoundDocument) -> bool:
    return plan.most_nested is not None and document.own_nested + document.other_nested > plan.most_nested
