"""What the engine does not let us add to an index as it was created: settings that are final."""

from __future__ import annotations

from collections.abc import Iterator

from connector.backfill.facts import Facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle

ANEW = "build a new index from it (--into NEW), or keep the vectors in an index of ours (--beside)"


def no_knn(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """OpenSearch: vectors can be mapped later, but no graph is ever built of them."""
    if not facts.is_elasticsearch and facts.settings and not facts.is_set("knn"):
        reason = "it was created without index.knn, which is final, so no graph of its vectors would be built"
        yield Obstacle("no-knn", reason, ANEW)


def derived_source(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """OpenSearch 3: `_source` made of fields, which the engine does not do for nested objects."""
    if not facts.is_elasticsearch and facts.is_set("derived_source.enabled"):
        reason = "index.derived_source.enabled is true, and with it OpenSearch takes no nested field"
        yield Obstacle("derived-source", reason, ANEW)


def sorted_index(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """OpenSearch 2: a sorted index takes no nested field."""
    if not facts.is_elasticsearch and facts.version < (3, 0) and facts.setting("sort.field") not in ("", "[]"):
        reason = f"it is sorted by {facts.setting('sort.field')}, and OpenSearch 2 then takes no nested field"
        yield Obstacle("sorted", reason, ANEW)


def no_sequence_numbers(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """Newer Elasticsearch can leave them out; then no update can be tied to what was read."""
    if facts.is_set("disable_sequence_numbers"):
        reason = "index.disable_sequence_numbers is true, so no update can depend on the document being as it was read"
        yield Obstacle("no-sequence-numbers", reason, ANEW)


def left_out_vectors(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """Elasticsearch from 9.2: no reply shows vectors, so what writes a document back as it read it loses them."""
    if facts.is_elasticsearch and facts.is_set("mapping.exclude_source_vectors"):
        yield Concern(
            "left-out-vectors",
            "Elasticsearch leaves vectors out of every document that it shows (index.mapping.exclude_source_vectors). "
            "An application that reads a document and writes it back whole takes our vectors away, while texts and "
            "marker stay; partial updates keep them. Documents are therefore asked for their vectors, not for the "
            "marker: run backfill again, or `connector follow`, which puts them back",
        )
