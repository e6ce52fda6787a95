"""What the doctor says of vectors that stand in an index of their own."""

from __future__ import annotations

from dataclasses import asdict

from connector.clusters.beside.lag import BesideLag
from connector.doctor.findings import Finding


def judge_lag(lag: BesideLag, index: str, *, same_index: bool) -> Finding:
    """How far the vectors are behind the documents, and which those are that only words find."""
    facts = asdict(lag) | {"whole": lag.whole, "same_index": same_index}
    seen = f"{lag.documents:,} documents, {lag.held:,} of them with their vectors beside them"
    late = {
        "have no vectors yet": lag.missing,
        "were written since their vectors were made": lag.written_since,
        "are gone, and their vectors still there": lag.gone,
    }
    parts = ", ".join(f"{count:,} {words}" for words, count in late.items() if count)
    if not lag.documents:
        return Finding("documents", "warn", "the index is empty", "whoever writes to it has yet to", facts)
    if not lag.held:
        advice = f"fill it: connector backfill {index} --beside"
        return Finding("documents", "fail", "no document has vectors, so words alone find them", advice, facts)
    if not parts and same_index:
        return Finding("documents", "ok", seen, facts=facts)
    looked = "" if lag.whole else f" of the {lag.looked_at:,} last written"
    seen += f"; behind{looked}: {parts}" if parts else ""
    if not same_index:
        seen += "; the vectors were made of another index of this name, and each is compared by its text"
    advice = f"words find them meanwhile; bring the vectors up to date: connector backfill {index} --beside"
    return Finding("documents", "warn", seen, advice, facts)
