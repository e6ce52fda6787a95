"""What the mapping says: names that are taken, limits, and mappings that take no nested field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.other_nested import read_others
from connector.backfill.probe.engine_rules import ANEW
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.verdict import Concern, Obstacle
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.writing.nested_objects import may_have_vectors, nested_paths
from connector.clusters.writing.restored_vectors import most_nested

JSON = dict[str, Any]
OUR_FIELDS = 5  # the nested object, its three fields, the marker


def names_taken(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """Fields of these names that are not ours: in the mapping, among the runtime fields, or in documents alone."""
    if is_ours(facts, intent):
        return
    names = (intent.names.passages, intent.names.marker)
    mapped = {**facts.mapping.get("properties", {}), **facts.mapping.get("runtime", {})}
    mapped |= facts.mapping.get("derived", {})
    taken = [name for name in names if name in mapped or any(path.startswith(f"{name}.") for path in mapped)]
    in_documents = [name for name in names if name in facts.unmapped and name not in taken]
    if taken or in_documents:
        where = "its mapping" if taken else "its documents"
        reason = f"{where} has a field {(taken or in_documents)[0]!r} that is not ours"
        yield Obstacle("name-taken", reason, "take another name: --field NAME", ("beside",))


def limits(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """The engines refuse a mapping above these, which somebody can raise while the index is in use."""
    if is_ours(facts, intent):
        return
    properties = facts.mapping.get("properties", {})
    runtime = len(facts.mapping.get("runtime", {}))
    for name, count, more in (
        ("total_fields", count_fields(properties) + runtime, OUR_FIELDS),
        ("nested_fields", count_nested(properties), 1),
        ("depth", 0, 2),
    ):
        setting = f"index.mapping.{name}.limit"
        limit = facts.setting(f"mapping.{name}.limit")
        if limit and count + more > int(limit):
            raised = f'raise it: PUT {facts.index}/_settings {{"{setting}": {count + more}}}'
            yield Obstacle(f"limit-{name}", f"{count + more} would be more than {setting} ({limit})", raised)


def many_passages(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """Of one document the engines take so many nested objects, of all fields together."""
    limit = int(facts.setting("mapping.nested_objects.limit") or 0)
    if limit and intent.most_passages > limit:
        yield Concern(
            "many-passages",
            f"the longest document that was seen has {intent.most_passages} passages, and the engine refuses one with "
            f"more than {limit} nested objects (index.mapping.nested_objects.limit): raise it, or such documents are "
            "counted as refused",
        )


def restored_vectors(facts: Facts, intent: Intent) -> Iterator[Concern]:
    """OpenSearch 3 gives documents of many nested objects the vectors of others back."""
    limit = most_nested(facts.engine, facts.settings)
    if limit is None:
        return
    wrongly = (
        f"OpenSearch restores the vectors of a document with more than {limit} nested objects wrongly "
        "(index.knn.derived_source.enabled)"
    )
    refused = "documents that would have more get no passages and are counted as refused; --beside takes them"
    if intent.most_nested > limit:
        seen = f"the longest document that was seen would have {intent.most_nested} with its passages"
        yield Concern("restored-vectors", f"{wrongly}, and {seen}: {refused}")
    theirs = read_others(facts.mapping, intent.names).theirs
    if not theirs:
        return
    named = ", ".join(nested_paths(theirs))
    yield Concern("restored-vectors", f"{wrongly}, and objects of {named} count in that: {refused}")
    if may_have_vectors(theirs):
        yield Concern(
            "restored-vectors",
            f"{wrongly}, those of its own nested fields too: where a document has more, any partial update of it "
            "stores vectors of others, an application's too. Nothing of ours is written to such documents",
        )


def no_objects(facts: Facts, intent: Intent) -> Iterator[Obstacle]:
    """Mappings below whose root nothing nested can be."""
    if str(facts.mapping.get("subobjects", True)).lower() == "false":
        reason = "its mapping has subobjects: false, so that it takes no nested field"
        yield Obstacle("no-objects", reason, ANEW)
    if str(facts.mapping.get("enabled", True)).lower() == "false":
        yield Obstacle("not-mapped", "its mapping has enabled: false, so that no field of it is indexed", ANEW)


def is_ours(facts: Facts, intent: Intent) -> bool:
    """Whether a back-fill put fields of these names there before."""
    return intent.names in _added(facts)


def _added(facts: Facts) -> list[AddedNames]:
    """What back-fills have put there."""
    meta = facts.mapping.get("_meta", {})
    found = (Backfilled.from_meta(meta), *Backfilled.others_from_meta(meta))
    return [backfill.names for backfill in found if backfill is not None]


def count_fields(properties: Mapping[str, JSON]) -> int:
    """Fields as the engines count them: objects, what is in them, and multi-fields too."""
    return sum(
        1 + count_fields(field.get("properties", {})) + count_fields(field.get("fields", {}))
        for field in properties.values()
    )


def count_nested(properties: Mapping[str, JSON]) -> int:
    return sum(
        (field.get("type") == "nested") + count_nested(field.get("properties", {})) for field in properties.values()
    )
