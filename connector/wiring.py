"""Settings -> objects: the only place that names concrete classes."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from connector.clusters.connect import connect
from connector.clusters.examination import Examination
from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.clusters.rest import RestCluster
from connector.clusters.rest_examination import RestExamination
from connector.config import ModelSettings, Settings, WorkerSettings
from connector.errors import EncoderMismatch, ModelError, SettingsError
from connector.models.agreement import Agreement, compare, require_agreement
from connector.models.backends import Backend, agreement_file, identify
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.encoder import Encoder, LocalEncoder
from connector.models.fastest import find_fastest, runs_on_cpu
from connector.models.files import find_model, short_name, weights_bytes
from connector.models.late_interaction import LateInteractionScorer
from connector.models.model import Model
from connector.models.scorer import Scorer, ScorerKind, detect_kind
from connector.native.elasticsearch import ElasticsearchNative
from connector.native.opensearch import OpenSearchNative
from connector.native.plan import Native, Plan
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.search.searcher import Searcher
from connector.worker.client import WorkerClient
from connector.worker.models import Offer
from connector.worker.remote_encoder import RemoteEncoder

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


def open_examination(cluster: Cluster, *, timeout_s: float) -> Examination:
    """What the doctor asks of a cluster; no request takes longer than `timeout_s`."""
    if isinstance(cluster, RestCluster):
        return RestExamination(cluster.client, cluster.engine, url=cluster.url, timeout_s=timeout_s)
    from connector.clusters.embedded import EmbeddedCluster
    from connector.clusters.embedded_examination import EmbeddedExamination

    assert isinstance(cluster, EmbeddedCluster)
    return EmbeddedExamination(cluster)


def open_native(cluster: Cluster, settings: Settings) -> Native:
    """What puts the worker into the cluster's engine, for the configured index. Raises SettingsError for the embedded store."""
    if not isinstance(cluster, RestCluster):
        raise SettingsError(
            "the embedded store runs no pipelines, and connector search reranks by itself; set cluster.url to a cluster"
        )
    kind = OpenSearchNative if cluster.engine.kind == "opensearch" else ElasticsearchNative
    return kind(cluster.client, settings.index.name, _native_worker_url(settings))


def build_plan(settings: Settings, schema: IndexSchema) -> Plan:
    """What is to be installed for an index. Raises SettingsError for a field that it has not."""
    named, names = settings.native.field, list(schema.fields.text)
    if named is not None and named not in names:
        raise SettingsError(f"native.field is {named!r}, which is none of the index's text fields: {', '.join(names)}")
    key = settings.rerank.api_key
    return Plan(
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
        key = given.api_key.get_secret_value() if given.api_key else None
        attempts, backoff_s = settings.ingest.max_attempts, settings.ingest.backoff_s
        return RemoteEncoder(
            given.url, given.model, api_key=key, ca_cert=given.ca_cert, attempts=attempts, backoff_s=backoff_s
        )
    return _load_encoder(given.model, given.device, given.backend, given.max_batch_tokens)


def _load_encoder(
    model: str, device: str | None, backend: Literal["exact", "auto", "torch", "onnx"], max_batch_tokens: int
) -> LocalEncoder:
    """An encoder in this process. `exact` and `auto` are onnx on a CPU where that gives the same vectors, else torch."""
    if backend in ("torch", "onnx"):
        return LocalEncoder(model, device=device, backend=backend, max_batch_tokens=max_batch_tokens)
    if runs_on_cpu(device):
        try:
            return LocalEncoder(model, backend="onnx", max_batch_tokens=max_batch_tokens)
        except ModelError as error:
            log.info("encoding with torch: %s", error)
    return LocalEncoder(model, device=device, max_batch_tokens=max_batch_tokens)


def offer_models(settings: WorkerSettings) -> list[Offer]:
    """The models of a worker besides its first reranker: those of worker.models, and worker.encoder."""
    encoder = ModelSettings(model=settings.encoder, kind="encoder", device=settings.device, backend="auto")
    return [
        *(_offer(name, one, settings) for name, one in settings.models.items()),
        _offer(short_name(settings.encoder), encoder, settings),
    ]


def _offer(name: str, model: ModelSettings, worker: WorkerSettings) -> Offer:
    """A model of the worker that is loaded when somebody asks for it."""

    def load() -> Model:
        if model.kind == "encoder":
            assert model.backend != "onnx-int8"
            assert model.backend != "openvino"
            return _load_encoder(model.model, model.device, model.backend, worker.max_batch_tokens)
        return load_scorer(model, worker)

    def count_bytes() -> int:
        cached = worker.cache_bytes if model.kind != "encoder" and _kind(model) == "late-interaction" else 0
        return weights_bytes(find_model(model.model)) + cached

    return Offer("embed" if model.kind == "encoder" else "rerank", name, load, count_bytes)


def load_scorer(model: ModelSettings, worker: WorkerSettings) -> Scorer:
    """A reranker of a worker; takes seconds, and half a minute where its graph is to be exported first. Raises ModelError."""
    backend = model.backend
    if backend == "exact":
        # a graph of an encoder is exact as it is exported, and needs no torch, whose loading takes most of a start
        if _kind(model) == "late-interaction" and runs_on_cpu(model.device):
            try:
                return _load_scorer(model, worker, "onnx")
            except ModelError as error:
                log.info("scoring with torch: %s", error)
        return _load_scorer(model, worker, "torch")
    if backend == "auto":
        measure = partial(export_scorer, model, worker)
        backend = find_fastest(_identity(model), measure) if runs_on_cpu(model.device) else "torch"
    if backend != "torch" and not agreement_file(_identity(model), backend).exists():
        export_scorer(model, worker, backend)
    return _load_scorer(model, worker, backend)


def export_scorer(model: ModelSettings, worker: WorkerSettings, backend: Backend) -> Agreement:
    """Export the graph for the backend, unless it is there, and check it against the original. Raises ModelError where they disagree."""
    file = agreement_file(_identity(model), backend)
    file.unlink(missing_ok=True)
    found = compare(_load_scorer(model, worker, "torch"), _load_scorer(model, worker, backend))
    require_agreement(found, model.model, backend)
    file.write_text(json.dumps(asdict(found)) + "\n", encoding="ascii")
    return found


def _identity(model: ModelSettings) -> str:
    """Names a reranker's weights and kind."""
    return identify(find_model(model.model), _kind(model))


def _kind(model: ModelSettings) -> ScorerKind:
    """What kind of reranker a model is."""
    assert model.kind != "encoder"
    return detect_kind(model.model) if model.kind == "auto" else model.kind


def _load_scorer(model: ModelSettings, worker: WorkerSettings, backend: Backend) -> Scorer:
    limits: dict[str, Any] = {
        "device": model.device,
        "backend": backend,
        "max_length": model.max_length,
        "max_batch_tokens": worker.max_batch_tokens,
    }
    if _kind(model) == "cross-encoder":
        return CrossEncoderScorer(model.model, **limits)
    return LateInteractionScorer(model.model, **limits, cache_bytes=worker.cache_bytes)


def open_worker(settings: Settings, *, fresh: bool = False) -> WorkerClient | None:
    """The configured worker, or None where reranking is off. Nothing is sent yet. `fresh`: it computes every score anew."""
    if not settings.rerank.enabled:
        return None
    key = settings.rerank.api_key
    return WorkerClient(
        settings.rerank.url,
        model=settings.rerank.model,
        api_key=key.get_secret_value() if key else None,
        ca_cert=settings.rerank.ca_cert,
        fresh=fresh,
    )


def build_searcher(index: Index, encoder: Encoder | None, worker: WorkerClient | None, settings: Settings) -> Searcher:
    """A searcher over an index; raises EncoderMismatch where the encoder is not the index's."""
    if encoder is not None:
        check_encoder(index, encoder.fingerprint)
    return Searcher(index, encoder, worker, settings)


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
            f"field {index.schema.vector_field!r} of index {index.name!r} holds vectors of {index.schema.dims} dimensions, "
            f"but {encoder} makes others; set encoder.model to the one that filled it"
        )
