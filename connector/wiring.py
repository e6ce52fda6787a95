"""Settings -> objects: which class stands for what is set."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from connector.clusters.connect import connect
from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.errors import EncoderMismatch, SettingsError
from connector.models.encoder import Encoder
from connector.models.files import find_model
from connector.models.load import load_local_encoder
from connector.rerankers.protocol import Reranker
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.search.searcher import Searcher
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.native.plan import Native, NativePlan
    from connector.rerankers.worker import WorkerClient

log = logging.getLogger(__name__)


async def open_cluster(settings: Settings) -> Cluster:
    """A connection to the configured cluster."""
    return await connect(settings.cluster)


async def open_index(cluster: Cluster, settings: Settings) -> Index:
    """The configured index, ours or another's."""
    foreign = (
        ForeignFields(settings.index.text_fields, settings.index.vector_field) if settings.index.text_fields else None
    )
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
    named, names = settings.native.field, list(schema.fields.text)
    if named is not None and named not in names:
        raise SettingsError(f"native.field is {named!r}, which is none of the index's text fields: {', '.join(names)}")
    key = settings.rerank.api_key
    return NativePlan(
        index=settings.index.name,
        schema=schema,
        worker_url=_native_worker_url(settings),
        api_key=key.get_secret_value() if key else None,
        fusion=settings.search.fusion,
        k=settings.search.k,
        window=settings.rerank.window,
        depth=settings.search.depth,
        embeddings=settings.native.embeddings and schema.vector_field is not None,
        encoder=settings.encoder.model,
        field=named or (names[0] if len(names) == 1 else None),
        model_group=settings.native.model_group,
    )


def _native_worker_url(settings: Settings) -> str:
    return (settings.native.worker_url or settings.rerank.url).rstrip("/")


def load_encoder(settings: Settings) -> Encoder:
    """The configured encoder: in this process, which takes seconds, or a worker's. Raises ModelError."""
    given = settings.encoder
    if given.url:
        from connector.remote.encoder import RemoteEncoder  # its HTTP library takes a tenth of a second

        key = given.api_key.get_secret_value() if given.api_key else None
        attempts, backoff_s = settings.ingest.max_attempts, settings.ingest.backoff_s
        return RemoteEncoder(
            given.url, given.model, api_key=key, ca_cert=given.ca_cert, attempts=attempts, backoff_s=backoff_s
        )
    find_model(given.model, settings.models)
    return load_local_encoder(given.model, given.device, given.backend, given.max_batch_tokens)


def open_worker(settings: Settings, *, fresh: bool = False) -> WorkerClient | None:
    """The configured worker, or None where reranking is off. Nothing is sent yet.

    `fresh`: it computes every score anew."""
    if not settings.rerank.enabled:
        return None
    from connector.rerankers.worker import WorkerClient

    key = settings.rerank.api_key
    return WorkerClient(
        settings.rerank.url,
        model=settings.rerank.model,
        api_key=key.get_secret_value() if key else None,
        ca_cert=settings.rerank.ca_cert,
        fresh=fresh,
    )


def build_searcher(index: Index, encoder: Encoder | None, reranker: Reranker | None, settings: Settings) -> Searcher:
    """A searcher over an index; raises EncoderMismatch where the encoder is not the index's."""
    if encoder is not None:
        check_encoder(index, encoder.fingerprint)
    return Searcher(index, encoder, reranker, settings)


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


def check_encoder(index: Index, encoder: EncoderFingerprint) -> None:
    """Refuse an encoder whose vectors cannot be compared with the index's."""
    if index.schema.encoder is not None and not index.schema.encoder.same_vectors(encoder):
        raise EncoderMismatch(index.name, index_encoder=str(index.schema.encoder), configured=str(encoder))
    if index.schema.vector_field and index.schema.dims and index.schema.dims != encoder.dims:
        raise SettingsError(
            f"field {index.schema.vector_field!r} of index {index.name!r} holds vectors of {index.schema.dims} "
            f"dimensions, but {encoder} makes others; set encoder.model to the one that filled it"
        )
