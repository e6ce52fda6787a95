"""How vectors are indexed: what each engine offers, what `auto` is, and what a choice needs of a cluster."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from support.indices.schemas import VECTORS
from support.parts import HashEncoder, schema_of

from connector.clusters.indices.mapping import build_vector_field
from connector.clusters.indices.vector_choices import check_needs, choose, read_choices, resolve
from connector.clusters.protocol import Engine
from connector.errors import AccessDenied, ClusterError, SettingsError

KINDS = ("elasticsearch", "opensearch")
OLD, NEW = Engine("elasticsearch", "8.19.8"), Engine("elasticsearch", "9.3.2")


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_engine_has_not_is_answered_with_all_that_it_has(kind: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose(Engine(kind, "99.0.0"), replace(VECTORS, index="ivf"), 384)

    message = str(caught.value)
    assert message.startswith(
        f"{kind} 99.0.0 has no vector index 'ivf'; --vector-index (index.vectors.index) takes auto ("
    )
    for choice in read_choices(kind).values():
        assert f"; {choice.name} ({choice.about})" in message


@pytest.mark.parametrize("index", ["bbq_disk", "bbq_hnsw_bfloat16"])
def test_what_only_a_later_version_has_is_refused_before_it(index: str) -> None:
    assert choose(NEW, replace(VECTORS, index=index), 384).name == index
    with pytest.raises(SettingsError, match=f"has no vector index '{index}'") as caught:
        choose(OLD, replace(VECTORS, index=index), 384)
    assert f"{index} (" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_auto_is_a_choice_that_needs_nothing_of_a_cluster(kind: str) -> None:
    for version in ("", "2.19.1", "3.6.0", "8.19.8", "9.0.0", "9.3.2", "10.0.0"):
        for dims in (5, 128, 384, 1024):
            choice = choose(Engine(kind, version), replace(VECTORS, index="auto"), dims)

            assert choice.needs == ""
            assert choice.known_to(Engine(kind, version))


@pytest.mark.parametrize(
    ("engine", "dims", "name"),
    [
        (NEW, 384, "bbq_hnsw"),
        (NEW, 256, "int8_hnsw"),
        (OLD, 384, "int8_hnsw"),
        (Engine("elasticsearch", ""), 384, "int8_hnsw"),
        (Engine("opensearch", "3.6.0"), 384, "hnsw"),
    ],
)
def test_auto_is_by_engine_version_and_dimensions(engine: Engine, dims: int, name: str) -> None:
    assert choose(engine, replace(VECTORS, index="auto"), dims).name == name


def test_a_schema_says_what_was_chosen_and_what_its_components_are() -> None:
    schema = schema_of(HashEncoder(dims=5))
    automatic = resolve(NEW, replace(schema, vectors=replace(VECTORS, index="auto"))).vectors
    whole = resolve(NEW, replace(schema, vectors=replace(VECTORS, index="byte_hnsw"))).vectors

    assert automatic.index in read_choices("elasticsearch")
    assert (automatic.element, whole.index, whole.element) == ("float", "byte_hnsw", "byte")


def test_a_later_version_may_want_another_mapping() -> None:
    faiss = replace(VECTORS, index="faiss_fp16")
    encoders = [
        build_vector_field(Engine("opensearch", version), faiss, 8)["method"]["parameters"]["encoder"]["parameters"]
        for version in ("2.19.1", "3.6.0")
    ]

    assert encoders == [{"type": "fp16"}, {"bits": 16}]


class RecordingClient:
    """A client that gives one answer to whatever it is asked."""

    has_credentials = False

    def __init__(self, reply: Any) -> None:
        self.reply = reply

    async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        if isinstance(self.reply, Exception):
            raise self.reply
        return dict(self.reply)


def _licence(type: str, status: str = "active") -> dict[str, Any]:
    return {"license": {"type": type, "status": status}}


async def _needs(kind: str, name: str, reply: Any, **options: bool) -> str:
    """Why the choice is refused; empty where it is not."""
    client: Any = RecordingClient(reply)
    try:
        await check_needs(client, Engine(kind, ""), read_choices(kind)[name], **options)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (_licence("enterprise"), ""),
        (_licence("trial"), ""),
        (_licence("basic"), "this cluster's is basic"),
        (_licence("platinum"), "this cluster's is platinum"),
        (_licence("enterprise", "expired"), r"enterprise \(expired\)"),
        (AccessDenied("no", status=403), "may not ask .* grant the cluster privilege monitor"),
        (ClusterError("no such route", status=404), ""),
    ],
)
async def test_the_licence_is_asked_before_an_index_is_made_that_takes_no_document(reply: Any, why: str) -> None:
    need = await _needs("elasticsearch", "bbq_disk", reply)

    assert re.search(why, need) if why else not need
    assert not await _needs("elasticsearch", "bbq_hnsw", _licence("basic"))


@pytest.mark.parametrize(
    ("used", "why"),
    [
        (((1, 0, 0), (0, 2, 0), (0, 0, 3)), ""),
        (((1, 0, 0), (0, 0, 0)), "a node without them exits"),
        ((), "a node without them exits"),
    ],
)
async def test_native_libraries_are_used_where_every_data_node_has_used_them(
    used: tuple[tuple[int, int, int], ...], why: str
) -> None:
    reply = {
        "nodes": {
            str(at): {
                "faiss_initialized": True,  # which a node says before it has loaded them
                "graph_stats": {"refresh": {"total": built}, "merge": {"total": merged}},
                "load_success_count": loaded,
            }
            for at, (built, merged, loaded) in enumerate(used)
        }
    }
    need = await _needs("opensearch", "faiss_fp16", reply)

    assert why in need if why else not need
    assert not await _needs("opensearch", "faiss_fp16", reply, knn_library=True)
    assert not await _needs("opensearch", "sq7_hnsw", {})


async def test_who_may_not_ask_about_native_libraries_is_told_what_needs_none() -> None:
    need = await _needs("opensearch", "sq1_hnsw", AccessDenied("no", status=403))

    assert need.endswith("choose of hnsw, byte_hnsw, sq7_hnsw")
