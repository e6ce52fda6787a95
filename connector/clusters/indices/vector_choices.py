"""How an engine can index vectors: its choices, what each means, which one `auto` is, and whether a cluster has what a
choice needs. The choices themselves are in the templates in mappings/, which are read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from connector.clusters.protocol import Engine
from connector.clusters.vector_form import version_of
from connector.errors import AccessDenied, ClusterError, SettingsError
from connector.schema import IndexSchema, VectorSettings

if TYPE_CHECKING:
    from connector.clusters.clients import Client

AUTO = "auto"
ASK_TIMEOUT_S = 30.0
LICENCES = frozenset({"enterprise", "trial"})
NO_LICENCES = frozenset({400, 404, 405, 410})  # a cluster that knows none, such as a serverless one


@dataclass(frozen=True, slots=True)
class VectorChoice:
    """A way to index vectors. `bits` is what a component takes in memory while searches go on, `element` what it is
    written as, `since` the first version that has it, and `needs` what a cluster must have for it beside. `later`:
    since when it is mapped otherwise, and how."""

    name: str
    about: str
    bits: int
    mapped: Mapping[str, Any]
    element: str = "float"
    since: tuple[int, ...] = ()
    needs: Literal["", "licence", "knn_library"] = ""
    loses: bool = False  # neighbours, to save memory: nothing is compared again by the floats
    later: Mapping[str, Any] = field(default_factory=dict)

    def known_to(self, engine: Engine) -> bool:
        """Whether this version of the engine has it, as far as the version is known."""
        version = version_of(engine)
        return not version or version >= self.since

    def mapped_by(self, engine: Engine) -> Mapping[str, Any]:
        """What this version wants in the mapping of the field."""
        is_later = self.later and version_of(engine) >= tuple(self.later["since"])
        return self.later["field"] if is_later else self.mapped


@cache
def read_template(engine: str) -> dict[str, Any]:
    """The template of an engine: from the wheel, or from the repository's mappings/ in a source checkout."""
    packaged = resources.files("connector") / "mappings" / f"{engine}.json"
    path = packaged if packaged.is_file() else Path(__file__).parents[3] / "mappings" / f"{engine}.json"
    template: dict[str, Any] = orjson.loads(path.read_bytes())
    return template


@cache
def read_choices(engine: str) -> Mapping[str, VectorChoice]:
    """The choices of an engine by name."""
    return {name: _read_choice(name, given) for name, given in read_template(engine)["vector_indexes"].items()}


def _read_choice(name: str, given: dict[str, Any]) -> VectorChoice:
    others = {key: value for key, value in given.items() if key not in ("field", "since")}
    return VectorChoice(name, mapped=given["field"], since=tuple(given.get("since", ())), **others)


def choose(engine: Engine, vectors: VectorSettings, dims: int) -> VectorChoice:
    """The choice that is named, or what `auto` is on this engine. Raises SettingsError, with all choices that this
    engine has."""
    choices = read_choices(engine.kind)
    name = choose_automatically(engine, dims) if vectors.index == AUTO else vectors.index
    found = choices.get(name)
    if found is None or not found.known_to(engine):
        raise SettingsError(
            f"{engine} has no vector index {vectors.index!r}; --vector-index (index.vectors.index) takes "
            f"{describe(engine, dims)}"
        )
    return found


def choose_automatically(engine: Engine, dims: int) -> str:
    """What `auto` is: the first that holds of what the template lists, by version and dimensions."""
    version = version_of(engine)
    rules = read_template(engine.kind)["auto"]
    found: str = next(
        rule["index"] for rule in rules if version >= tuple(rule.get("since", ())) and dims >= rule.get("dims", 0)
    )
    return found


def describe(engine: Engine, dims: int) -> str:
    """All choices of an engine in words."""
    choices = [f"auto ({choose_automatically(engine, dims)})"]
    choices += [
        f"{choice.name} ({choice.about})" for choice in read_choices(engine.kind).values() if choice.known_to(engine)
    ]
    return "; ".join(choices)


def describe_all() -> str:
    """The choices of each engine in words, with what is not found everywhere."""
    sentences = []
    for kind, title in (("elasticsearch", "Elasticsearch"), ("opensearch", "OpenSearch")):
        choices = (f"{choice.name} ({choice.about}{_only_where(choice)})" for choice in read_choices(kind).values())
        sentences.append(f"{title}: {'; '.join(choices)}")
    return ". ".join(sentences)


def _only_where(choice: VectorChoice) -> str:
    since = f"; since {'.'.join(map(str, choice.since))}" if choice.since else ""
    return since + {"": "", "licence": "; Enterprise licence", "knn_library": "; native libraries"}[choice.needs]


def resolve(engine: Engine, schema: IndexSchema) -> IndexSchema:
    """The schema with the choice in place of `auto`, and with what that writes. Raises SettingsError."""
    choice = choose(engine, schema.vectors, schema.dims)
    return replace(schema, vectors=replace(schema.vectors, index=choice.name, element=choice.element))


async def check_needs(client: Client, engine: Engine, choice: VectorChoice, *, knn_library: bool = False) -> None:
    """Refuse a choice that this cluster would accept and then fail with. Raises SettingsError.

    `knn_library`: the operator says that every data node has the native libraries of the k-NN plugin."""
    if choice.needs == "licence":
        await _check_licence(client, choice)
    if choice.needs == "knn_library" and not knn_library and not await _has_knn_library(client):
        raise SettingsError(
            f"vector index {choice.name!r} needs the native libraries of the k-NN plugin on every data node, and a "
            "node without them exits as soon as it is used; no node says that it has them before one used them. If "
            "all have them, as OpenSearch's own distributions do, set cluster.knn_library=true; else choose of "
            f"{', '.join(name for name, other in read_choices(engine.kind).items() if not other.needs)}"
        )


async def _check_licence(client: Client, choice: VectorChoice) -> None:
    """The engine takes the mapping under any licence, and then refuses every document."""
    try:
        reply = await client.request("GET", "/_license", timeout_s=ASK_TIMEOUT_S)
    except AccessDenied as error:
        raise SettingsError(
            f"vector index {choice.name!r} needs an Enterprise licence, and these credentials may not ask which one "
            f"the cluster has ({error}); grant the cluster privilege monitor, or choose another: bbq_hnsw"
        ) from error
    except ClusterError as error:
        if error.status in NO_LICENCES:
            return
        raise
    licence = reply.get("license", {})
    if licence.get("type") not in LICENCES or licence.get("status") != "active":
        raise SettingsError(
            f"vector index {choice.name!r} needs an Enterprise licence, and this cluster's is "
            f"{licence.get('type', 'unknown')} ({licence.get('status', 'unknown')}): it would take the index and then "
            "refuse every document; choose bbq_hnsw, or change the licence"
        )


async def _has_knn_library(client: Client) -> bool:
    """Whether every data node of OpenSearch has used the native libraries of the k-NN plugin since it started.

    Its statistic `faiss_initialized` does not tell: a node says true once a document was parsed for a faiss field, and
    exits when it then builds the graph. A graph that was built, or loaded into native memory, tells."""
    path = "/_plugins/_knn/data:true/stats/graph_stats,load_success_count"
    try:
        reply = await client.request("GET", path, timeout_s=ASK_TIMEOUT_S)
    except ClusterError:  # such as credentials that may not ask
        return False
    nodes = reply.get("nodes", {}).values()
    return bool(nodes) and all(_used_natively(node) for node in nodes)


def _used_natively(node: dict[str, Any]) -> bool:
    graphs = node.get("graph_stats", {})
    built = sum(int(graphs.get(kind, {}).get("total", 0)) for kind in ("refresh", "merge"))
    return built + int(node.get("load_success_count", 0)) > 0
