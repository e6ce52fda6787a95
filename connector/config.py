"""Settings: defaults < connector.yaml < CONNECTOR_* < flags. The only reader of the environment.

Every setting has a path (`search.rank_constant`) and a twin in the environment (`CONNECTOR_SEARCH_RANK_CONSTANT`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from connector.errors import SettingsError
from connector.schema import FieldType

CONFIG_FILE = "connector.yaml"
ENV_PREFIX = "CONNECTOR_"
MIN_PASSAGE_TOKENS = 16


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClusterSettings(Section):
    """Where the documents live."""

    url: str = Field("embedded:./connector-store", description="http(s)://HOST:PORT of a cluster, or embedded:FOLDER")
    engine: Literal["auto", "elasticsearch", "opensearch"] = Field(
        "auto", description="found out from the URL when auto"
    )
    username: str | None = None
    password: SecretStr | None = None
    api_key: SecretStr | None = Field(None, description="Elasticsearch API key, encoded")
    bearer_token: SecretStr | None = None
    ca_cert: str | None = Field(None, description="PEM file of the CA that signed the cluster's certificate")
    verify_tls: bool = True
    compress: bool = Field(False, description="gzip what is sent; worth it over a slow network")
    timeout_s: float = Field(60.0, gt=0, description="longest wait for one bulk or scan request")
    max_chunk_bytes: int = Field(8_000_000, ge=1_000, description="largest _bulk request")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "@" in urlsplit(self.url).netloc:
            raise ValueError("url holds credentials, which would end up in messages; use username and password")
        return self


class VectorIndexSettings(Section):
    """How vectors are indexed."""

    index: str = Field("auto", description="a name from mappings/ENGINE.json; auto is the engine's 7- or 8-bit HNSW")
    m: int = Field(16, ge=2, le=100)
    ef_construction: int = Field(128, ge=2, le=3_200)


class IndexSettings(Section):
    """The index; the last two name the fields of one that was not made by the connector."""

    name: str = "documents"
    analyzer: str = Field("english", description="language analyzer of text fields: english, german, standard, ...")
    vectors: VectorIndexSettings = VectorIndexSettings()
    text_fields: dict[str, float] | None = Field(None, description="existing index: its text fields with boosts")
    vector_field: str | None = Field(None, description="existing index: its vector field")


class FieldSettings(Section):
    """How rows become documents; where text is not given, the fields are worked out from the first rows."""

    id: str | None = Field(None, description="the id field; tried when not given: _id, id, doc_id")
    text: dict[str, float] | None = Field(None, description="text fields with boosts, in reading order")
    metadata: dict[str, FieldType] = Field(
        default_factory=dict, description="fields to filter by or to return, with their types"
    )


class EncoderSettings(Section):
    """Text to vectors, in this process."""

    model: str = Field("all-MiniLM-L6-v2", description="a sentence-transformers model: folder or hub name")
    device: str | None = Field(None, description="cpu, cuda, mps; the best there is when not given")
    max_batch_tokens: int = Field(16_384, ge=512, description="most padded tokens in one batch")


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
    max_attempts: int = Field(8, ge=1, description="tries for what may work later: 429, 503, time-outs")
    backoff_s: float = Field(0.5, gt=0, description="first pause between tries; doubles, with jitter, to 30 s")


class FusionSettings(Section):
    """How the two legs become one ranking."""

    kind: Literal["rrf", "linear"] = "rrf"
    rank_constant: int = Field(60, ge=1)
    weights: tuple[float, float] = Field((1.0, 1.0), description="rrf: weights of the lexical and the dense leg")
    normalisation: Literal["minmax", "zscore"] = Field("minmax", description="linear: how scores become comparable")
    alpha: float = Field(0.5, ge=0, le=1, description="linear: share of the dense leg")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.weights) < 0 or max(self.weights) == 0:
            raise ValueError("weights must be 0 or more, and not all 0")
        return self


class SearchSettings(Section):
    """The query layer."""

    k: int = Field(10, ge=1, description="hits the caller gets")
    depth: int = Field(100, ge=1, le=10_000, description="hits each leg returns")
    deadline_s: float = Field(10.0, gt=0, description="one request has one deadline")
    fusion: FusionSettings = FusionSettings()


class RerankSettings(Section):
    """The window that the worker reorders."""

    enabled: bool = True
    url: str = Field("http://127.0.0.1:8787", description="the worker")
    window: int = Field(50, ge=1, description="fused hits the reranker sees")
    passages: int = Field(2, ge=1, le=4, description="passages of a document that are scored; the best one counts")
    max_pairs: int = Field(200, ge=1, description="most (query, passage) pairs sent for one query")
    blend: Literal["auto", "rerank", "rrf", "linear"] = Field(
        "auto",
        description="final order: the rerank score alone, or fused with the first stage; auto: by the kind of scorer",
    )
    blend_alpha: float = Field(
        0.3, ge=0, le=1, description="share of the reranker where it is fused with the first stage"
    )
    term_weights: bool = Field(True, description="late interaction: weigh query words by their rarity in the index")


class WorkerSettings(Section):
    """The rerank worker."""

    host: str = "127.0.0.1"
    port: int = Field(8787, ge=0, le=65_535, description="0: any free port")
    model: str = Field("all-MiniLM-L6-v2", description="folder or hub name of a cross-encoder or an encoder")
    kind: Literal["auto", "cross-encoder", "late-interaction"] = Field(
        "auto", description="auto: by the model's own configuration"
    )
    device: str | None = None
    max_length: int = Field(0, ge=0, description="longest input in tokens; 0: all that the model takes")
    max_batch_tokens: int = Field(4_096, ge=64, description="most padded tokens in one batch")
    cache_bytes: int = Field(
        512_000_000, ge=0, description="late interaction: token vectors of passages that are kept in memory"
    )
    max_body_bytes: int = Field(8_000_000, ge=1_000)
    max_pairs: int = Field(1_000, ge=1, description="most passages in one request")
    max_waiting: int = Field(64, ge=1, description="requests that may wait; beyond it 429 at once")


class Settings(Section):
    """All settings."""

    cluster: ClusterSettings = ClusterSettings()
    index: IndexSettings = IndexSettings()
    fields: FieldSettings = FieldSettings()
    encoder: EncoderSettings = EncoderSettings()
    passages: PassageSection = PassageSection()
    ingest: IngestSettings = IngestSettings()
    search: SearchSettings = SearchSettings()
    rerank: RerankSettings = RerankSettings()
    worker: WorkerSettings = WorkerSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_sizes(k=self.search.k, window=self.rerank.window, depth=self.search.depth)
        return self


def check_sizes(*, k: int, window: int, depth: int) -> None:
    """The rule `1 <= k <= window <= 2 * depth`; raises SettingsError."""
    if not 1 <= k <= window <= 2 * depth:
        raise SettingsError(
            f"k={k}, window={window} and depth={depth} do not fit together: 1 <= search.k <= rerank.window <= 2 * search.depth"
        )


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of this process. `overrides` maps paths to values; None values are ignored.

    `file` None means connector.yaml in the working folder if there is one. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    tree = _read_file(file)
    for path, value in _from_environment(environ):
        _put(tree, path, value)
    for path, value in (overrides or {}).items():
        if value is not None:
            _put(tree, path, value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None


def setting_paths(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's path, sections left out."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_paths(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def env_name(path: str) -> str:
    """`search.rank_constant` -> `CONNECTOR_SEARCH_RANK_CONSTANT`."""
    return ENV_PREFIX + path.upper().replace(".", "_")


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    known = {env_name(path): path for path in setting_paths()}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX):
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise SettingsError(f"unknown environment variable {name}{f'; did you mean {near[0]}?' if near else ''}")
        yield known[name], text if _is_secret(known[name]) else parse_value(text)


def parse_value(text: str) -> Any:
    """The text of a flag or variable: lists and objects as YAML, anything else as it is (the settings know their types)."""
    if text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path(CONFIG_FILE)
    if not path.exists():
        if file:
            raise SettingsError(f"there is no settings file {file}")
        return {}
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:  # its own text quotes the line, which may hold a secret
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path} is not YAML: {error.problem}{line}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} must hold sections such as 'cluster:' and 'search:'")
    return {name: section for name, section in tree.items() if section is not None}


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"cannot set {path!r}: {section!r} is no section of settings")
    tree[name] = value


def _is_secret(path: str) -> bool:
    return path.rsplit(".", 1)[-1] in ("password", "api_key", "bearer_token")


def _describe(error: ValidationError) -> str:
    lines = []
    for one in error.errors():
        path = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            known = list(setting_paths()) + list(Settings.model_fields)
            near = difflib.get_close_matches(path, known, n=1)
            lines.append(f"unknown setting {path!r}{f'; did you mean {near[0]!r}?' if near else ''}")
        else:
            message = one["msg"].removeprefix("Value error, ")
            shown = (
                ""
                if isinstance(one.get("input"), dict) or _is_secret(path) or path in Settings.model_fields
                else f" (got {one.get('input')!r})"
            )
            lines.append(f"{path}: {message}{shown}" if path else message)
    return "; ".join(lines)
