"""Which documents a write of ours would harm, since OpenSearch 3 restores vectors of a document with so many nested
objects wrongly: its partial update reads the document, and stores what it read."""

from __future__ import annotations

from connector.backfill.fields import BackfillPlan
from connector.backfill.scan import FoundDocument
from connector.backfilled import AddedNames


def is_too_long(plan: BackfillPlan, document: FoundDocument, passages: int) -> bool:
    """Whether a document that gets so many passages would have wrong vectors: ours from the next update on, or others
    of its own at once."""
    if plan.most_nested is None:
        return False
    if passages and passages + document.other_nested > plan.most_nested:
        return True
    return is_restored_wrongly(plan, document) and plan.others.may_have_vectors


def has_outgrown(plan: BackfillPlan, document: FoundDocument) -> bool:
    """Whether a document with passages of ours has come to more nested objects than it may have, by writes of its
    application: from the next of them on its passages have vectors of others."""
    return bool(document.own_nested) and is_restored_wrongly(plan, document)


def taken_out(plan: BackfillPlan, document: FoundDocument) -> tuple[AddedNames, ...]:
    """Whose passages go from a document that is too long for those of the plan; nobody's where that would do harm."""
    return plan.others.taken_out(plan.added.names, misread=is_restored_wrongly(plan, document))


def is_restored_wrongly(plan: BackfillPlan, document: FoundDocument) -> bool:
    """Whether the engine shows wrong vectors in the document as it is."""
    return plan.most_nested is not None and document.own_nested + document.other_nested > plan.most_nested
