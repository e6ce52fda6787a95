"""Settings -> objects: the only place that names concrete classes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from connector.clusters.connect import connect
from connector.clusters.examination import Examination
from connector.clusters.protocol import Cluster, ForeignFields, Index
from connector.clusters.rest import RestCluster
from connector.clusters.rest_examination import RestExamination
from connector.config import Settings, WorkerSettings
from connector.errors import EncoderMismatch, SettingsError
from connector.models.agreement import Agreement, compare, require_agreement
from connector.models.backends import Backend, agreement_file
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.encoder import Encoder, SentenceTransformerEncoder
from connector.models.files import find_model, weights_sha256
from connector.models.late_interaction import LateInteractionScorer
from connector.models.scorer import Scorer, ScorerKind, detect_kind
from connector.schema import EncoderFingerprint, Fields, IndexSchema, PassageSettings, VectorSettings
from connector.search.searcher import Searcher
from connector.worker.client import WorkerClient


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


def load_encoder(settings: Settings) -> Encoder:
    """The configured encoder; takes seconds. Raises ModelError."""
    return SentenceTransformerEncoder(
        settings.encoder.model,
        device=settings.encoder.device,
        backend=settings.encoder.backend,
        max_batch_tokens=settings.encoder.max_batch_tokens,
    )


def load_scorer(settings: WorkerSettings) -> Scorer:
    """The scorer of a worker; takes seconds, and half a minute where its graph is to be exported first. Raises ModelError."""
    if settings.backend != "torch" and not _agreement_file(settings).exists():
        export_scorer(settings)
    return _load_scorer(settings, settings.backend)


def export_scorer(settings: WorkerSettings) -> Agreement:
    """Export the graph for `settings.backend` and check it against the original. Raises ModelError where they disagree."""
    file = _agreement_file(settings)
    for old in (file, file.with_suffix(".onnx")):
        old.unlink(missing_ok=True)
    found = compare(_load_scorer(settings, "torch"), _load_scorer(settings, settings.backend))
    require_agreement(found, settings.model)
    file.write_text(json.dumps(asdict(found)) + "\n", encoding="ascii")
    return found


def _agreement_file(settings: WorkerSettings) -> Path:
    return agreement_file(f"{weights_sha256(find_model(settings.model))}:{_kind(settings)}", settings.backend)


def _kind(settings: WorkerSettings) -> ScorerKind:
    return detect_kind(settings.model) if settings.kind == "auto" else settings.kind


def _load_scorer(settings: WorkerSettings, backend: Backend) -> Scorer:
    limits: dict[str, Any] = {
        "device": settings.device,
        "backend": backend,
        "max_length": settings.max_length,
        "max_batch_tokens": settings.max_batch_tokens,
    }
    if _kind(settings) == "cross-encoder":
        return CrossEncoderScorer(settings.model, **limits)
    return LateInteractionScorer(settings.model, **limits, cache_bytes=settings.cache_bytes)


def open_worker(settings: Settings, *, fresh: bool = False) -> WorkerClient | None:
    """The configured worker, or None where reranking is off. Nothing is sent yet. `fresh`: it computes every score anew."""
    if not settings.rerank.enabled:
        return None
    key = settings.rerank.api_key
    return WorkerClient(
        settings.rerank.url,
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
