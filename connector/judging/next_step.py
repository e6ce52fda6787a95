"""What to do next in a judging folder, in a sentence."""

from __future__ import annotations

from connector.judging.status import FolderStatus

ENOUGH_OF_BOTH = 50  # pairs that a person and a model judged, before kappa says much


def advise(status: FolderStatus) -> str:
    """The first thing that is missing."""
    folder = status.folder
    if not status.runs or not status.pairs:
        return f"pool what the pipelines find: connector judge pool {folder} --pipeline lexical --pipeline reranked"
    if not status.judged_pairs:
        return f"judge the {status.pairs:,} pairs: connector judge page {folder}"
    if status.graded_by("model") and status.pairs_of_both < ENOUGH_OF_BOTH:
        more = ENOUGH_OF_BOTH - status.pairs_of_both
        return (
            f"judge {more} of the pairs that the model judged, or nobody knows what its grades are worth: "
            f"connector judge page {folder}"
        )
    if status.open_disagreements:
        return f"settle {status.open_disagreements} disagreements: connector judge page {folder}"
    if status.missing_pairs:
        return f"judge the {status.missing_pairs:,} pairs that are left: connector judge page {folder}"
    if unseen := sum(run.unjudged for run in status.runs):
        return (
            f"pool again, since {unseen:,} documents among the first {status.k} are not judged: connector judge pool "
            f"{folder}"
        )
    return _about_queries(status)


def _about_queries(status: FolderStatus) -> str:
    """Whether the queries are enough for the difference that is wished."""
    folder = status.folder
    if not status.powers:
        other = "lexical" if status.baseline != "lexical" else "reranked"
        return f"pool a second pipeline to compare with: connector judge pool {folder} --pipeline {other}"
    if status.more_queries:
        return (
            f"take {status.more_queries:,} more queries, about {status.more_grades:,} grades, to show a difference of "
            f"{status.wished:g}: connector judge queries LOG --out {folder} --add; or be content with what "
            f"{status.judged_queries:,} queries show, and measure: connector eval {folder}"
        )
    return f"measure; so many queries show a difference of {status.wished:g}: connector eval {folder}"
