"""Settings -> objects: which class stands for what is set."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.errors import EncoderMismatch, SettingsError
from connector.models.encoder import Encoder
from connector.models.files import find_model
from connector.models.load import load_local_encoder
from connector.plugins import find_plugin
from connector.rerankers.protocol import Reranker
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.search.searcher import Searcher
from connector.settings.search import KINDS, LegKind, LegSettings
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.native.plan import Native, NativePlan
log = logging.getLogger(__name__)


async def open_cluster(settings: Settings) -> Cluster:
    """A connection to the configured cluster."""
    return await connect(settings.cluster, settings.plugins)


async def open_index(cluster: Cluster, settings: Settings) -> Index:
    """The configured index, ours or another's."""
    given, fields = settings.index, settings.search.vector_fields
    vector = given.vector_field or next(iter(fields), None)
    named = given.text_fields or given.beside
    foreign = ForeignFields(given.text_fields or {}, vector, given.beside) if named else None
    return await cluster.open_index(settings.index.name, foreign)


def open_native(cluster: Cluster, settings: Settings) -> Native:
    """What puts the worker into the cluster's engine, for the configured index.

    Raises SettingsError for the embedded store."""
    from connector.clusters.rest import RestCluster
    from connector.native.elasticsearch import ElasticsearchNative
    from connector.native.opensearch import OpenSearchNative

    if not isinstance(cluster, RestCluster):
        raise SettingsError(
            "the embedded store runs no pipelines, and connector search reranks by itself; set cluster.url to a cluster"
        )
    kind = OpenSearchNative if cluster.engine.kind == "opensearch" else ElasticsearchNative
    return kind(cluster.client, settings.index.name, _native_worker_url(settings))


def build_plan(settings: Settings, schema: IndexSchema) -> NativePlan:
    """What is to be installed for an index. Raises SettingsError for a field that it has not."""
    from connector.native.plan import NativePlan

    if schema.layout.members.names:
        raise SettingsError(f"{settings.index.name!r} stands for several indices; name the one to install it for")
    if not schema.managed and schema.vector_field and schema.vector_field not in schema.layout.vector_fields:
        raise SettingsError(
            f"the vectors of {settings.index.name!r} are in an index of their own, which no search of the engine "
            "joins; search through the connector or its gateway, or back-fill the index in place"
        )
    named, names = settings.native.field, list(schema.fields.text)
    if named is not None and named not in names:
        raise SettingsError(f"native.field is {named!r}, which is none of the index's text fields: {', '.join(names)}")
    lexical, dense = (_only_leg(settings, kind) for kind in KINDS)
    if lexical.query:
        raise SettingsError(
            "an engine's own search gets its query with each request, so none is installed; send that query yourself, "
            "and leave the template out with --set search.legs.lexical.query=null"
        )
    key = settings.first_reranker.api_key
    return NativePlan(
        index=settings.index.name,
        schema=schema,
        worker_url=_native_worker_url(settings),
        api_key=key.get_secret_value() if key else None,
        fusion=settings.search.fusion,
        weights=(lexical.weight, dense.weight),
        k=settings.search.k,
        window=settings.first_stage.window,
        depth=settings.search.depth,
        embeddings=settings.native.embeddings and schema.vector_field is not None,
        encoder=settings.encoder.model,
        field=named or (names[0] if len(names) == 1 else None),
        model_group=settings.native.model_group,
    )


def _native_worker_url(settings: Settings) -> str:
    return (settings.native.worker_url or settings.first_reranker.url).rstrip("/")


def _only_leg(settings: Settings, kind: LegKind) -> LegSettings:
    """The leg of a kind; an engine's own search takes one of each."""
    legs = {name: leg for name, leg in settings.search.legs.items() if leg.kind == kind}
    if len(legs) > 1:
        raise SettingsError(
            f"an engine's own search takes one {kind} leg, not {', '.join(legs)}; leave others out with "
            f"--set search.legs.{list(legs)[-1]}=off"
        )
    return next(iter(legs.values()), LegSettings(kind=kind, weight=0))


def load_encoder(settings: Settings) -> Encoder:
    """The configured encoder: in this process, which takes seconds, a worker's, or a plug-in's. Raises ModelError,
    PluginError, and SettingsError for a kind that there is not."""
    given = settings.encoder
    if given.kind != "auto":
        from connector.models.plugged import PluggedEncoder

        plugin = find_plugin("encoder", given.kind, wanted_by=f"encoder.kind is {given.kind!r}, which is not auto")
        return PluggedEncoder(plugin, given, settings.options_of(given.kind))
    if given.url:
        from connector.remote.encoder import RemoteEncoder  # its HTTP library takes a tenth of a second

        key = given.api_key.get_secret_value() if given.api_key else None
        attempts, backoff_s = settings.ingest.max_attempts, settings.ingest.backoff_s
        return RemoteEncoder(
            given.url, given.model, api_key=key, ca_cert=given.ca_cert, attempts=attempts, backoff_s=backoff_s
        )
    find_model(given.model, settings.models)
    return load_local_encoder(given.model, given.device, given.backend, given.max_batch_tokens)


def open_rerankers(settings: Settings, *, fresh: bool = False) -> dict[str, Reranker]:
    """The rerankers that the stages of a search use, by name; none where nothing is reranked. Nothing is sent yet.

    `fresh`: they compute every score anew. Raises SettingsError for a `ca_cert` that is no PEM file, and for a kind
    that there is not; PluginError for a plug-in that does not work."""
    used = dict.fromkeys(str(stage.reranker) for stage in settings.search.rerank)
    return {name: open_reranker(settings, name, fresh=fresh) for name in used}


def open_reranker(settings: Settings, name: str, *, fresh: bool = False) -> Reranker:
    """One of the rerankers, by its name. Raises what `open_rerankers` raises."""
    given = settings.rerankers[name]
    if given.kind != "worker":
        from connector.rerankers.plugged import PluggedReranker

        wanted_by = f"rerankers.{name}.kind is {given.kind!r}, which is not worker"
        plugin = find_plugin("reranker", given.kind, wanted_by=wanted_by)
        return PluggedReranker(plugin, given, settings.options_of(given.kind))
    from connector.rerankers.worker import WorkerClient

    return WorkerClient(
        given.url,
        name=name,
        model=given.model,
        api_key=given.api_key.get_secret_value() if given.api_key else None,
        ca_cert=given.ca_cert,
        fresh=fresh,
    )


def build_searcher(
    index: Index, encoder: Encoder | None, rerankers: Mapping[str, Reranker], settings: Settings
) -> Searcher:
    """A searcher over an index. Raises EncoderMismatch where the encoder is not the index's, and SettingsError where no
    leg can search it."""
    if encoder is not None:
        index = by_encoder(index, encoder.fingerprint)
        for field in (None, *settings.search.vector_fields):
            check_encoder(index, encoder.fingerprint, field)
    return Searcher(index, encoder, rerankers, settings)


def build_schema(settings: Settings, fields: Fields, encoder: EncoderFingerprint) -> IndexSchema:
    """The schema of a new index."""
    return IndexSchema(
        fields=fields,
        encoder=encoder,
        analyzer=settings.index.analyzer,
        passages=PassageSettings(**settings.passages.model_dump()),
        vectors=VectorSettings(**settings.index.vectors.model_dump()),
        dims=encoder.dims,
    )


def by_encoder(index: Index, encoder: EncoderFingerprint) -> Index:
    """The index by the vectors that this encoder made, where it has those of several, as while it changes from one to
    the other."""
    found = (each for each in index.schema.alternatives if each.encoder and each.encoder.same_vectors(encoder))
    schema = next(found, None)
    if schema is None:
        return index
    other = copy.copy(index)
    other.schema = schema
    return other


def check_encoder(index: Index, encoder: EncoderFingerprint, field: str | None = None) -> None:
    """Refuse an encoder whose vectors cannot be compared with those of a vector field of the index (None: its own).

    Raises EncoderMismatch, or SettingsError also where there is no such field."""
    schema = by_encoder(index, encoder).schema.searched_by(field)
    if schema.encoder is not None and not schema.encoder.same_vectors(encoder):
        raise EncoderMismatch(
            index.name, index_encoder=str(schema.encoder), configured=str(encoder), backfilled=not schema.managed
        )
    if schema.vector_field and schema.dims and schema.dims != encoder.dims:
        raise SettingsError(
            f"field {schema.vector_field!r} of index {index.name!r} holds vectors of {schema.dims} "
            f"dimensions, but {encoder} makes others; set encoder.model to the one that filled it"
        )
