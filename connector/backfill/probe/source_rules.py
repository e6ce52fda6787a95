"""What `_source` keeps. An update writes a document anew from its `_source`, so what that lacks is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.other_nested import read_others
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle
from connector.clusters.indices.foreign import is_kept, read_mapping
from connector.clusters.writing.nested_objects import nested_paths

SHOWN = 3


def no_source(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    if _source(facts).get("enabled", True) in (False, "false"):
        reason = "its _source is disabled: there are no texts to read, and the engine can update no document"
        yield Obstacle("no-source", reason, "ingest from where the documents came from (connector ingest)", ways=())


def our_fields_left_out(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """The next partial update by anybody would lose our vectors, and say nothing of it."""
    source, names = _source(facts), intent.names
    paths = (names.marker, names.text, names.vector, f"{names.passages}.ordinal")
    if left_out := [path for path in paths if _enabled(source) and not is_kept(path, source)]:
        reason = (
            f"its _source leaves out {', '.join(left_out)} (excludes or includes), which each later update would lose"
        )
        yield Obstacle("our-fields-left-out", reason, "take another name (--field NAME), or use --into NEW or --beside")


def their_fields_left_out(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """An update of ours would take such a field out of the index: measured on all engines."""
    source, texts = _source(facts), [*intent.texts]
    if not _enabled(source):
        return
    fields = read_mapping([facts.mapping]).fields.values()
    theirs = {found.source for found in fields if found.type not in ("object", "nested") and not found.target}
    theirs |= set(nested_paths(read_others(facts.mapping, intent.names).theirs))  # what has no field in it goes too
    left_out = sorted(path for path in theirs if not is_kept(path, source) and not _is_ours(path, intent))
    if not left_out:
        return
    named = ", ".join(left_out[:SHOWN]) + (f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else "")
    reason = (
        f"its _source leaves out {named} (excludes or includes): an update writes a document anew from its _source, "
        "so ours would take these out of the index"
    )
    if set(left_out) & set(texts):
        yield Obstacle("their-fields-left-out", reason, "ingest from where the documents came from", ways=())
    else:
        yield Obstacle("their-fields-left-out", reason, "keep the vectors in an index of ours (--beside)", ("beside",))


def synthetic_source(facts: Facts, intent: Intent) -> Iterator[Concern]:
    mode = facts.setting("mapping.source.mode").lower()
    if facts.is_elasticsearch and (mode == "synthetic" or facts.setting("mode") == "logsdb"):
        yield Concern(
            "synthetic-source",
            "its _source is synthetic: the engine makes documents from their fields, and an update keeps what it "
            "makes (the order of values and keys may change), as any other partial update there does",
        )


def inferred(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """Elasticsearch's own vectors: their inference is the engine's business, and may cost it time and money."""
    fields = read_mapping([facts.mapping]).fields.values()
    if names := sorted(found.name for found in fields if found.type == "semantic_text"):
        yield Concern(
            "inferred",
            f"it has fields of type semantic_text ({', '.join(names)}): where they are of the legacy format, each "
            "update may make the engine infer them anew, which takes time and may cost money",
        )


def _source(facts: Facts) -> dict[str, Any]:
    found = facts.mapping.get("_source", {})
    return found if isinstance(found, dict) else {}


def _enabled(source: dict[str, Any]) -> bool:
    return source.get("enabled", True) not in (False, "false")


def _is_ours(path: str, intent: Intent) -> bool:
    return path == intent.names.marker or path.split(".")[0] == intent.names.passages
