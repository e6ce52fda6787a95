"""A new index that is to take the place of somebody's: with its mapping and settings, and our fields from the start."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.fields import BackfillPlan, build_properties, read_index_mapping
from connector.backfill.other_nested import OtherNested
from connector.backfill.planning.plan import analyzer_of
from connector.backfill.planning.reading import read_facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.judge import judge
from connector.backfill.scan import count_shards
from connector.backfilled import META_KEY, AddedNames, Backfilled, without_ours
from connector.clusters.indices.foreign import build_foreign_schema
from connector.clusters.paths import check_name, index_path
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.clusters.writing.nested_objects import read_branches
from connector.clusters.writing.restored_vectors import most_nested
from connector.clusters.writing.write_place import is_write_alias
from connector.errors import SettingsError
from connector.schema import EncoderFingerprint, PassageSettings, VectorSettings
from connector.settings.sections import Settings

JSON = dict[str, Any]
INTO_META = "connector_into"
# of an index as it is, and of no other
OWN_SETTINGS = (
    "uuid", "creation_date", "provided_name", "version.", "resize.", "shrink.", "split.", "blocks.", "history.",
    "store.type", "store.snapshot.", "xpack.ccr.", "plugins.replication.", "verified_before_close", "frozen",
    "routing.allocation.initial_recovery.",
)  # fmt: skip
# of kinds of indices whose documents are not updated; the new one is an ordinary index
KIND_SETTINGS = ("routing_path", "time_series.", "append_only.", "ingestion_source.")
# what would act on documents that are only copied, or on an index that is not in its place yet
LATER_SETTINGS = (
    "default_pipeline", "final_pipeline", "lifecycle.", "plugins.index_state_management.",
    "opendistro.index_state_management.",
)  # fmt: skip
KEEPS_VECTORS = (9, 2)  # from this Elasticsearch on, a document that is read and written back loses its vectors


@dataclass(frozen=True, slots=True)
class IntoPlan:
    """The index `new` that is to take the place of `old`, which searches call `name`: an alias, or its own name.

    `later` are settings that it gets when it does; `aliases` those of the old one."""

    name: str
    old: str
    new: str
    uuid: str  # of the old one
    fill: BackfillPlan
    body: JSON
    later: Mapping[str, Any]
    aliases: Mapping[str, JSON]
    exclude_vectors: bool  # whether the engine leaves vectors of the application out of what it is read
    exists: bool
    most_nested: int | None = None  # nested objects of a document of the old one that the engine shows rightly

    @property
    def counts_nested(self) -> bool:
        """Whether it matters how many nested objects a document has."""
        return self.most_nested is not None or self.fill.most_nested is not None

    @property
    def takes_name(self) -> bool:
        """Whether the new index takes the own name of the old one, which then has to go in the same moment."""
        return self.name == self.old


async def plan_into(
    cluster: RestCluster,
    name: str,
    new: str,
    settings: Settings,
    encoder: EncoderFingerprint,
    *,
    text: Mapping[str, float],
    names: AddedNames = AddedNames(),
) -> IntoPlan:
    """What is to be made, or gone on with. Nothing is written. Raises SettingsError, which says what works."""
    check_name(new)
    facts = await read_facts(cluster, name, names)
    if new in (facts.index, name):
        raise SettingsError(f"--into {new!r} is the index itself; choose another name for the new one")
    verdict = judge(facts, Intent(names, tuple(text)))
    if barred := [obstacle for obstacle in verdict.obstacles if "into" not in obstacle.ways]:
        raise SettingsError(f"index {facts.index!r} cannot be copied into a new one: {'; '.join(map(str, barred))}")
    _check_kind(facts)
    schema = build_foreign_schema(facts.index, [facts.mapping], ForeignFields(text), cluster.dialect.read_vector_field)
    if schema.why_no_text:
        raise SettingsError(f"no text of index {facts.index!r} can be read: {schema.why_no_text}")
    passages = PassageSettings(**settings.passages.model_dump())
    fill = BackfillPlan(
        index=new,
        shards=await count_shards(cluster, facts.index),
        added=Backfilled(encoder, dict(text), passages, names, versions_checked=False),  # copied with theirs
        schema=replace(schema, passages=passages),
        vectors=VectorSettings(**settings.index.vectors.model_dump()),
        analyzer=analyzer_of(facts.mapping, list(text)[-1]),
    )
    flat = await _read_settings(cluster, facts.index)
    plan = IntoPlan(
        name=name,
        old=facts.index,
        new=new,
        uuid=str(flat["index.uuid"]),
        fill=fill,
        body={},
        later={key: value for key, value in flat.items() if _is_among(key, LATER_SETTINGS)},
        aliases=await _read_aliases(cluster, facts.index),
        exclude_vectors=facts.is_elasticsearch and facts.version >= KEEPS_VECTORS,
        exists=False,
    )
    plan = replace(plan, body=build_body(facts, flat, plan))
    fill = replace(fill, most_nested=most_nested(cluster.engine, plan.body["settings"]))
    plan = replace(plan, fill=fill, most_nested=most_nested(cluster.engine, facts.settings))
    plan = _with_nested(plan, facts.mapping)
    return replace(plan, exists=await _is_begun(cluster, plan))


async def with_nested_now(cluster: RestCluster, plan: IntoPlan) -> IntoPlan:
    """The plan with the nested fields that the old index has by now: an application may add some while a job runs."""
    if not plan.counts_nested:
        return plan
    return _with_nested(plan, await read_index_mapping(cluster, plan.old))


def _with_nested(plan: IntoPlan, mapping: JSON) -> IntoPlan:
    if not plan.counts_nested:
        return plan
    theirs = read_branches(mapping, without=[plan.fill.added.names.passages])
    return replace(plan, fill=replace(plan.fill, others=OtherNested(theirs)))


def build_body(facts: Facts, flat: Mapping[str, Any], plan: IntoPlan) -> JSON:
    """The body of `PUT /NEW`."""
    kept = {
        key: value
        for key, value in flat.items()
        if not _is_among(key, (*OWN_SETTINGS, *KIND_SETTINGS, *LATER_SETTINGS))
    }
    if facts.setting("mode") == "time_series":
        kept.pop("index.mode")
    if facts.is_elasticsearch and facts.version >= KEEPS_VECTORS:
        kept["index.mapping.exclude_source_vectors"] = False
    if not facts.is_elasticsearch:
        kept["index.knn"] = True
        kept.pop("index.derived_source.enabled", None)  # refuses nested fields
        if facts.version < (3, 0):  # which sorts no index with nested fields
            kept = {key: value for key, value in kept.items() if not key.startswith("index.sort.")}
    mapping = copy.deepcopy(facts.mapping)
    mapping.pop("_data_stream_timestamp", None)
    properties = build_properties(facts.engine, plan.fill)
    mapping["properties"] = mapping.get("properties", {}) | properties
    meta = plan.fill.added.to_meta(without_ours(mapping.get("_meta", {})))
    mapping["_meta"] = meta | {INTO_META: {"old": plan.old, "uuid": plan.uuid}}
    return {"settings": kept, "mappings": mapping}


def _check_kind(facts: Facts) -> None:
    """Refuse an index whose place no other one can take. Raises SettingsError."""
    if facts.data_stream:
        raise SettingsError(
            f"index {facts.index!r} belongs to the data stream {facts.data_stream!r}, in which no other takes its "
            f"place; its vectors can stand beside it: connector backfill {facts.index} --beside"
        )


async def create_new(cluster: RestCluster, plan: IntoPlan) -> None:
    """Make the new index, where it is not begun yet. Raises ClusterError with the engine's own reason."""
    if not plan.exists:
        await cluster.check_vectors(plan.fill.vectors, plan.fill.added.encoder.dims)
        await cluster.client.request("PUT", index_path(plan.new), body=plan.body, timeout_s=ADMIN_TIMEOUT_S)


async def _is_begun(cluster: RestCluster, plan: IntoPlan) -> bool:
    """Whether the new index is there, begun by a job for the same. Raises SettingsError where it is another one."""
    params = {"ignore_unavailable": "true"}
    path = index_path(plan.new, "_mapping")
    reply = await cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
    if not reply:
        return False
    meta = next(iter(reply.values()))["mappings"].get("_meta", {})
    wanted = plan.body["mappings"]["_meta"]
    if next(iter(reply)) == plan.new and all(meta.get(key) == wanted[key] for key in (INTO_META, META_KEY)):
        return True
    raise SettingsError(
        f"there is an index {plan.new!r} already, and it is not one that was begun for {plan.old!r} with this encoder, "
        "these text fields and these passages; choose another name, or drop it"
    )


async def _read_settings(cluster: RestCluster, index: str) -> Mapping[str, Any]:
    path, params = index_path(index, "_settings"), {"flat_settings": "true"}
    reply = await cluster.client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
    found: Mapping[str, Any] = reply[index]["settings"]
    return found


async def _read_aliases(cluster: RestCluster, index: str) -> Mapping[str, JSON]:
    reply = await cluster.client.request("GET", index_path(index, "_alias"), timeout_s=ADMIN_TIMEOUT_S)
    found: Mapping[str, JSON] = reply[index]["aliases"]
    return {name: options for name, options in found.items() if not is_write_alias(index, name)}


def _is_among(key: str, names: tuple[str, ...]) -> bool:
    """Whether a flat setting is one of those, or lies below one that ends with a dot."""
    return key.removeprefix("index.").startswith(names)
