"""What an index of vectors beside somebody else's is to hold, and how it is made: theirs is only read for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.backfill.fields import read_index_mapping
from connector.backfill.planning.plan import analyzer_of
from connector.backfill.planning.reading import find_indices, read_facts
from connector.backfill.planning.texts import find_text_fields
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.judge import judge
from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.vectors_index import Origin, build_vectors_index, choose_copies, vectors_name
from connector.clusters.indices.foreign import Mapped, build_foreign_schema, read_mapping
from connector.clusters.paths import index_path
from connector.clusters.protocol import ForeignFields
from connector.clusters.rest import RestCluster
from connector.clusters.rest_index import ADMIN_TIMEOUT_S
from connector.errors import ClusterError, SettingsError
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class BesidePlan:
    """The index of vectors `name` that is to be beside one index: of which texts, with which fields copied."""

    index: str  # by its own name, never an alias
    name: str
    origin: Origin
    schema: IndexSchema
    mapped: Mapped
    exists: bool


async def plan_beside(
    cluster: RestCluster,
    index: str,
    settings: Settings,
    encoder: EncoderFingerprint,
    *,
    text: Mapping[str, float],
    copied: Sequence[str] | None = None,
) -> BesidePlan:
    """What is to be made, or gone on with, for the index behind a name; None copies every field that can be. Nothing
    is written. Raises SettingsError, which says what else works."""
    facts = await read_facts(cluster, index)
    concrete, mapping = facts.index, facts.mapping
    verdict = judge(facts, Intent(texts=tuple(text)))
    if barred := [obstacle for obstacle in verdict.obstacles if "beside" not in obstacle.ways]:
        raise SettingsError(f"no vectors can stand beside index {concrete!r}: {'; '.join(map(str, barred))}")
    name = settings.index.beside or vectors_name(concrete)
    mapped = read_mapping([mapping])
    theirs = build_foreign_schema(concrete, [mapping], ForeignFields(text), cluster.dialect.read_vector_field)
    if theirs.why_no_text:
        raise SettingsError(f"no text of index {concrete!r} can be read: {theirs.why_no_text}")
    schema = IndexSchema(
        fields=Fields(text),
        encoder=encoder,
        analyzer=analyzer_of(mapping, list(text)[-1]),
        passages=PassageSettings(**settings.passages.model_dump()),
        vectors=VectorSettings(**settings.index.vectors.model_dump()),
        dims=encoder.dims,
        keeps_original_text=False,
    )
    opened = await cluster.open_vectors(name)
    if opened is None:
        origin = Origin(concrete, await cluster.read_uuid(concrete), choose_copies(mapped, copied))
        return BesidePlan(concrete, name, origin, schema, mapped, exists=False)
    vectors, origin = opened
    _check_same(name, vectors.schema, schema, origin, concrete)
    return BesidePlan(concrete, name, origin, vectors.schema, mapped, exists=True)


async def open_beside(cluster: RestCluster, plan: BesidePlan) -> BesideIndex:
    """Both indices as one; the index of vectors is made where it is missing."""
    if not plan.exists:
        schema = await cluster.choose_vectors(plan.schema)
        body = build_vectors_index(cluster.engine, plan.origin, schema, plan.mapped)
        try:
            await cluster.client.request("PUT", index_path(plan.name), body=body, timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if not (error.status == 400 and "already exists" in str(error)):
                raise
    opened = await cluster.open_index(plan.index, ForeignFields(plan.schema.fields.text, beside=plan.name))
    assert isinstance(opened, BesideIndex)
    return opened


async def text_fields_of(cluster: RestCluster, settings: Settings) -> dict[str, float]:
    """The text fields of the one index behind settings.index.name: those of which it has vectors beside it, else found
    out."""
    names = await find_indices(cluster, settings.index.name)
    if len(names) != 1:
        raise SettingsError(
            f"{settings.index.name!r} stands for {len(names)} indices ({', '.join(names[:5])}); name one of them"
        )
    opened = await cluster.open_vectors(settings.index.beside or vectors_name(names[0]))
    if opened and opened[1].index == names[0]:
        return dict(opened[0].schema.fields.text)
    return await find_text_fields(cluster, names[0], await read_index_mapping(cluster, names[0]), ())


def _check_same(name: str, has: IndexSchema, wanted: IndexSchema, origin: Origin, index: str) -> None:
    """Refuse to go on with vectors of another kind. Raises SettingsError."""
    other = None
    if origin.index != index:
        other = f"those of index {origin.index!r}"
    elif not (has.encoder and wanted.encoder and has.encoder.same_vectors(wanted.encoder)):
        other = f"of another encoder ({has.encoder})"
    elif list(has.fields.text) != list(wanted.fields.text):
        other = f"of other text fields ({', '.join(has.fields.text)})"
    elif has.passages != wanted.passages:
        other = f"cut in another way (passages.max_tokens {has.passages.max_tokens})"
    if other:
        raise SettingsError(
            f"the vectors in index {name!r} are {other}; drop it with connector index drop --index {name}, or name "
            "another one"
        )
