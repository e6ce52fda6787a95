"""What a back-fill of each index behind a name would add, worked out before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connector.backfill.facts import Facts
from connector.backfill.fields import BackfillPlan, read_index_mapping
from connector.backfill.other_nested import NO_OTHERS, read_others
from connector.backfill.planning.reading import find_indices, read_facts
from connector.backfill.planning.texts import find_text_fields
from connector.backfill.probe.intent import Intent, Versions
from connector.backfill.probe.judge import judge
from connector.backfill.probe.verdict import ProbeVerdict
from connector.backfill.scan import count_shards
from connector.backfilled import AddedNames, Backfilled
from connector.clusters.indices.foreign import build_foreign_schema, read_mapping
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.clusters.writing.restored_vectors import most_nested
from connector.errors import EncoderMismatch, SettingsError
from connector.schema import EncoderFingerprint, IndexSchema, PassageSettings, VectorSettings
from connector.settings.sections import Settings

JSON = dict[str, Any]
PLAIN_ANALYZER = "standard"


@dataclass(frozen=True, slots=True)
class BackfillWish:
    """What a user says of a back-fill: the text fields with boosts (None: found out), what our field is to be called
    (None: as usual), and who counts the versions of documents."""

    text: Mapping[str, float] | None = None
    field: str | None = None
    versions: Versions = "auto"


@dataclass(frozen=True, slots=True)
class ProbedIndex:
    """One index that can be filled in place: what is known of it, and what of it is to be filled."""

    facts: Facts
    verdict: ProbeVerdict
    names: AddedNames
    text: Mapping[str, float]
    before: Backfilled | None  # what an earlier back-fill added
    versions: Versions = "auto"

    @property
    def documents(self) -> int:
        return self.facts.documents or 0


async def probe_indices(cluster: RestCluster, name: str, wish: BackfillWish) -> list[ProbedIndex]:
    """Each index behind a name, found fit to be filled in place. Nothing is written.

    Raises SettingsError where one of them is not, with the reason and the way that works."""
    return [await _probe(cluster, index, wish) for index in await find_indices(cluster, name)]


async def _probe(cluster: RestCluster, index: str, wish: BackfillWish) -> ProbedIndex:
    mapping = await read_index_mapping(cluster, index)
    if IndexSchema.from_meta(mapping.get("_meta", {})):
        raise SettingsError(
            f"index {index!r} was made by the connector and has its vectors; write to it with: connector ingest SOURCE "
            f"--index {index}"
        )
    before = Backfilled.from_meta(mapping.get("_meta", {}))
    names = AddedNames(wish.field) if wish.field else before.names if before else AddedNames()
    if before and wish.field not in (None, before.names.passages):
        raise SettingsError(
            f"index {index!r} was back-filled under {before.names.passages!r}; leave --field out to go on with that, "
            f"or take it out first: connector backfill {index} --undo"
        )
    text = dict(wish.text or (before.text if before else {}))
    text = text or await find_text_fields(cluster, index, mapping, (names.passages, names.marker))
    return await probe_index(cluster, index, names, text, before, wish.versions)


async def probe_index(
    cluster: RestCluster,
    index: str,
    names: AddedNames,
    text: Mapping[str, float],
    before: Backfilled | None,
    versions: Versions = "auto",
) -> ProbedIndex:
    """One index, found fit to get fields of those names. Raises SettingsError where it is not."""
    facts = await read_facts(cluster, index, names)
    if before and versions == "auto" and not before.versions_checked:
        versions = "internal"  # as was said before
    verdict = judge(facts, Intent(names, tuple(text), versions))
    if not verdict.in_place:
        raise SettingsError(verdict.words)
    return ProbedIndex(facts, verdict, names, text, before, versions)


async def plan_backfill(
    cluster: RestCluster, probed: ProbedIndex, encoder: EncoderFingerprint, settings: Settings
) -> BackfillPlan:
    """What is to be added to one index. Raises EncoderMismatch where it has vectors of another encoder, and
    SettingsError for a text field that cannot be read."""
    index, mapping = probed.facts.index, probed.facts.mapping
    if probed.before and not probed.before.encoder.same_vectors(encoder):
        raise EncoderMismatch(index, index_encoder=str(probed.before.encoder), configured=str(encoder), backfilled=True)
    passages = PassageSettings(**settings.passages.model_dump())
    schema = build_foreign_schema(index, [mapping], ForeignFields(probed.text), cluster.dialect.read_vector_field)
    for name in probed.text:
        if not schema.layout.place(name).source:
            why = schema.layout.place(name).why_not or "its text is not in the documents themselves"
            raise SettingsError(f"text field {name!r} of index {index!r} cannot be encoded: {why}; name another one")
    most = most_nested(cluster.engine, probed.facts.settings)
    return BackfillPlan(
        index=index,
        shards=await count_shards(cluster, index),
        added=Backfilled(encoder, probed.text, passages, probed.names, versions_checked=probed.versions == "auto"),
        schema=replace(schema, passages=passages),
        vectors=VectorSettings(**settings.index.vectors.model_dump()),
        analyzer=analyzer_of(mapping, list(probed.text)[-1]),
        most_nested=most,
        others=NO_OTHERS if most is None else read_others(mapping, probed.names),
    )


def analyzer_of(mapping: JSON, name: str) -> str:
    """The analyzer of a text field, for the passages' texts."""
    found = read_mapping([mapping]).find(name)
    return str(found.mapping.get("analyzer", PLAIN_ANALYZER)) if found else PLAIN_ANALYZER


def describe_change(plan: BackfillPlan, probed: ProbedIndex) -> list[str]:
    """What is about to be changed, and what is to be known of it, in sentences for whoever decides."""
    names, added = plan.added.names, plan.added
    texts = ", ".join(f"{name}^{boost:g}" for name, boost in added.text.items())
    lines = [
        f"index {plan.index} ({probed.documents:,} documents) is written to where it is:",
        f"- its mapping gets the nested field {names.passages!r} (texts, and vectors of {added.encoder.dims} "
        f"dimensions by {added.encoder.name}), the keyword {names.marker!r}, and a note in _meta",
        f"- each document gets passages of its text ({texts}) by an update of these two fields alone, which fails "
        "where an application wrote meanwhile",
        "- its version counts up by one, and its _source shows both fields to whoever reads it whole",
    ]
    return lines + [f"- {concern}" for concern in probed.verdict.concerns]
