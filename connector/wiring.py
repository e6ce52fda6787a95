"""Settings -> objects: which class stands for what is set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from connector.clusters.by_encoder import by_encoder, check_encoder
from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.errors import SettingsError
from connector.models.encoder import Encoder
from connector.models.files import find_model
from connector.models.load import load_local_encoder
from connector.plugins import find_plugin
from connector.rerankers.protocol import Reranker
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.search.searcher import Searcher
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.native.plan import Native


async def open_cluster(settings: Settings) -> Cluster:
    """A connection to the configured cluster."""
    return await connect(settings.cluster, settings.plugins)


@asynccontextmanager
async def opened_cluster(settings: Settings) -> AsyncIterator[Cluster]:
    """The same for as long as the block lasts."""
    cluster = await open_cluster(settings)
    try:
        yield cluster
    finally:
        await cluster.close()


async def open_index(cluster: Cluster, settings: Settings) -> Index:
    """The configured index, ours or another's."""
    given, fields = settings.index, settings.search.vector_fields
    vector = given.vector_field or next(iter(fields), None)
    named = given.text_fields or given.beside
    foreign = ForeignFields(given.text_fields or {}, vector, given.beside) if named else None
    return await cluster.open_index(settings.index.name, foreign)


def open_native(cluster: Cluster, settings: Settings) -> Native:
    """What puts the worker into the cluster's engine, for the configured index.

    Raises SettingsError for the embedded store and a plug-in's cluster."""
    from connector.clusters.rest import RestCluster
    from connector.native.elasticsearch import ElasticsearchNative
    from connector.native.opensearch import OpenSearchNative
    from connector.native.planning import find_worker_url

    if not isinstance(cluster, RestCluster):
        raise SettingsError(
            "neither the embedded store nor a plug-in's cluster runs pipelines, and connector search reranks by "
            "itself; set cluster.url to a cluster"
        )
    kind = OpenSearchNative if cluster.engine.kind == "opensearch" else ElasticsearchNative
    return kind(cluster.client, settings.index.name, find_worker_url(settings))


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
