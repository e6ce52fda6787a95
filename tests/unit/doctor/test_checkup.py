"""What the doctor makes of what it sees: the judgements, without a cluster."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from support.indices.schemas import MADE

from connector.clusters.indices.mapping import build_index
from connector.clusters.protocol import Engine
from connector.doctor.cluster_checks import judge_contents
from connector.doctor.findings import Finding, failed
from connector.doctor.local_checks import choose_words, judge_engine, judge_response, judge_speed
from connector.doctor.rest_findings import (
    differences,
    judge_access,
    judge_blocks,
    judge_copies,
    judge_health,
    judge_mapping,
    judge_open,
)
from connector.errors import ClusterError
from connector.event_loop import in_own_thread
from connector.schema import EncoderFingerprint, Fields, IndexSchema
from connector.settings.load import load_settings
from connector.settings.sections import Settings
from connector.types import Degradation, Hit, SearchResponse

SHARDS = {"index.number_of_shards": "1", "index.number_of_replicas": "1"}


def health(status: str, nodes: int, unassigned: int = 0) -> dict[str, Any]:
    return {"status": status, "number_of_data_nodes": nodes, "unassigned_shards": unassigned}


def test_an_errors_own_advice_is_kept_apart() -> None:
    error = ClusterError("cannot reach it; is it running; really?")

    assert failed("cluster", error, advice="x") == Finding(
        "cluster", "fail", "cannot reach it", "is it running; really?"
    )
    assert failed("cluster", ClusterError("gone"), advice="x").advice == "x"


@pytest.mark.parametrize(
    ("kind", "version", "status"),
    [
        ("elasticsearch", "8.18.4", "warn"),
        ("elasticsearch", "8.19.0", "ok"),
        ("elasticsearch", "9.3.2", "ok"),
        ("elasticsearch", "10.0.0", "warn"),
        ("elasticsearch", "7.17.1", "warn"),
        ("elasticsearch", "", "ok"),
        ("opensearch", "2.18.0", "warn"),
        ("opensearch", "2.19.1", "ok"),
        ("opensearch", "3.6.0-SNAPSHOT", "ok"),
        ("opensearch", "4.0.0", "warn"),
        ("embedded", "lancedb 0.30", "ok"),
    ],
)
def test_versions_that_are_not_tested_are_pointed_at(kind: str, version: str, status: str) -> None:
    found = judge_engine(Engine(kind, version), "http://db:9200")

    assert (found.status, found.facts) == (status, {"engine": kind, "version": version})
    assert f"{kind} {version}".strip() in found.seen
    assert bool(found.advice) == (status == "warn")


@pytest.mark.parametrize(
    ("cluster", "index", "status"),
    [
        (health("green", 3), health("green", 3), "ok"),
        (health("green", 1), None, "ok"),
        (health("yellow", 1, 2), health("yellow", 1, 1), "ok"),
        (health("yellow", 3, 2), health("yellow", 3, 1), "warn"),
        (health("yellow", 3, 2), health("green", 3), "warn"),
        (health("red", 3, 2), health("green", 3), "warn"),
        (health("red", 1, 2), None, "warn"),
        (health("red", 3, 2), health("red", 3, 1), "fail"),
    ],
)
def test_health_counts_for_the_index_first(cluster: dict[str, Any], index: dict[str, Any] | None, status: str) -> None:
    found = judge_health(cluster, index, "no node has room")

    assert found.status == status
    assert "no node has room" in found.seen
    assert bool(found.advice) == (status != "ok")
    assert found.facts["unassigned_shards"] == (index or cluster)["unassigned_shards"]


def test_a_replica_without_a_second_node_is_called_normal() -> None:
    found = judge_health(health("yellow", 1, 1), health("yellow", 1, 1), "")

    assert found.seen == (
        "cluster yellow, 1 data node; index yellow; a replica waits for a second node, which is normal on a single one"
    )


@pytest.mark.parametrize(
    ("search", "ingest", "statuses"),
    [
        ([], [], ["ok", "ok"]),
        ([], ["write", "maintenance"], ["ok", "warn"]),
        (["read"], ["read", "write"], ["fail", "warn"]),
    ],
)
def test_missing_privileges_are_named(search: list[str], ingest: list[str], statuses: list[str]) -> None:
    found = judge_access({"search": search, "ingest": ingest}, exists=True)

    assert [finding.status for finding in found] == statuses
    for finding, missing in zip(found, (search, ingest), strict=True):
        assert finding.facts.get("missing", []) == missing
        assert all(privilege in finding.seen and privilege in finding.advice for privilege in missing)


def test_a_cluster_without_security_is_pointed_at_where_others_reach_it() -> None:
    assert [judge_open(url).status for url in ("http://localhost:9200", "http://db.example:9200")] == ["ok", "warn"]


@pytest.mark.parametrize(
    ("settings", "nodes", "status"),
    [
        (SHARDS, 3, "ok"),
        (SHARDS | {"index.number_of_replicas": "0"}, 3, "warn"),
        (SHARDS | {"index.number_of_replicas": "0"}, None, "warn"),
        (SHARDS | {"index.number_of_replicas": "0"}, 1, "ok"),
        (SHARDS | {"index.number_of_replicas": "0", "index.auto_expand_replicas": "0-1"}, 3, "ok"),
        (SHARDS | {"index.refresh_interval": "-1"}, 3, "warn"),
        (SHARDS | {"index.refresh_interval": "30s"}, 3, "ok"),
    ],
)
def test_an_index_without_copies_or_refresh_is_pointed_at(
    settings: dict[str, str], nodes: int | None, status: str
) -> None:
    found = judge_copies(settings, nodes)

    assert found.status == status
    assert found.facts["replicas"] == int(settings["index.number_of_replicas"])
    assert found.facts["refresh_interval"] == settings.get("index.refresh_interval", "default")


@pytest.mark.parametrize(
    ("blocks", "status", "words"),
    [
        ({}, "ok", "takes writes"),
        ({"write": "true"}, "warn", "writes are blocked (index.blocks.write)"),
        ({"write": "false"}, "ok", "takes writes"),
        ({"read_only_allow_delete": "true"}, "fail", "the disk is nearly full (flood stage)"),
        ({"read": "true"}, "fail", "nothing can be read"),
        (
            {"write": "true", "read_only": "true"},
            "warn",
            "it is read-only (index.blocks.read_only), writes are blocked",
        ),
    ],
)
def test_blocks_are_named_with_what_lifts_them(blocks: dict[str, str], status: str, words: str) -> None:
    found = judge_blocks(SHARDS | {f"index.blocks.{name}": value for name, value in blocks.items()})

    assert found.status == status
    assert words in found.seen
    for name in found.facts["blocks"]:
        assert f'"index.blocks.{name}": null' in found.advice


@pytest.mark.parametrize(
    ("documents", "with_vectors", "managed", "status"),
    [
        (0, 0, True, "warn"),
        (5, 5, True, "ok"),
        (5, 4, True, "warn"),
        (5, 0, True, "fail"),
        (5, 0, False, "fail"),
        (5, 3, False, "warn"),
        (5, None, False, "ok"),
    ],
)
def test_documents_without_vectors_are_counted(
    documents: int, with_vectors: int | None, managed: bool, status: str
) -> None:
    found = judge_contents(documents, with_vectors, managed=managed)

    assert found.status == status
    assert found.facts == {"documents": documents, "with_vectors": with_vectors}
    assert bool(found.advice) == (status != "ok")


@pytest.mark.parametrize("engine", ["elasticsearch", "opensearch"])
def test_a_mapping_is_compared_where_it_matters(engine: str) -> None:
    schema = IndexSchema(
        Fields(text={"title": 1.0}, metadata={"year": "integer", "raw": "stored"}),
        EncoderFingerprint("a", "b", 8, 64),
        **MADE,
        dims=8,
    )
    expected = build_index(Engine(engine, ""), schema)["mappings"]["properties"]
    other = build_index(Engine(engine, ""), replace(schema, dims=16, analyzer="german"))["mappings"]["properties"]
    as_engines_say_it = expected | {
        "raw": {"type": "object", "enabled": False, "dynamic": "strict"},
        "more": {"type": "long"},
    }
    without = {name: field for name, field in expected.items() if name != "unit"} | {"year": {"type": "keyword"}}
    dims = "dims" if engine == "elasticsearch" else "dimension"

    plain = build_index(Engine(engine, ""), replace(schema, analyzer="standard"))["mappings"]["properties"]
    without_defaults = plain | {"title": {"type": "text"}, "raw": {"enabled": False}}  # an engine may leave them out

    assert list(differences(expected, as_engines_say_it)) == []
    assert list(differences(plain, without_defaults)) == []
    assert list(differences(expected, other)) == [
        "analyzer of passages.text is german, not english",
        f"{dims} of passages.vector is 16, not 8",
        "analyzer of title is german, not english",
    ]
    assert list(differences(expected, without)) == ["unit is missing", "type of year is keyword, not long"]
    assert judge_mapping([]).status == "ok"
    assert judge_mapping(["a", "b", "c", "d"]).seen.endswith(": a; b; c, and 1 more")


@pytest.mark.parametrize(("pairs_per_s", "status"), [(200.0, "ok"), (10.6, "ok"), (10.4, "warn"), (0.5, "warn")])
def test_a_worker_too_slow_for_a_window_is_pointed_at(pairs_per_s: float, status: str) -> None:
    found = judge_speed("local", pairs_per_s, load_settings(environ={}, overrides={"search.deadline_s": 10}))

    assert found.status == status
    assert found.facts["window_pairs"] == 100
    assert found.facts["window_s"] == pytest.approx(100 / pairs_per_s, abs=0.01)


def test_the_words_of_a_query_are_the_longest_of_a_text() -> None:
    assert choose_words("of the cold_room maintenance agreements, agreements in Größenordnung") == (
        "Größenordnung maintenance agreements cold"
    )
    assert choose_words("to be - or: 12 !") == ""


def response(**more: Any) -> SearchResponse:
    hit = (Hit("d", 1.0),)
    given: dict[str, Any] = {"degraded": (), "rankings": {"lexical": hit, "dense": hit}} | more
    return SearchResponse("secret words", (), took_ms={"lexical": 2.0, "total": 5.4}, **given)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (response(), "ok"),
        (response(degraded=(Degradation("local", "no worker"),)), "warn"),
        (response(degraded=(Degradation("dense", "late"),), rankings={"lexical": (Hit("d", 1.0),)}), "fail"),
        (response(rankings={"dense": (Hit("d", 1.0),)}), "fail"),
    ],
)
def test_a_query_is_judged_by_its_legs_and_what_is_degraded(answer: SearchResponse, status: str) -> None:
    found = judge_response(answer, Settings(), dense=True)

    assert found.status == status
    assert found.facts["took_ms"] == {"lexical": 2.0, "total": 5.4}
    assert found.facts["degraded"] == [degradation.stage for degradation in answer.degraded]
    assert all(degradation.reason in found.seen for degradation in answer.degraded)
    assert "secret" not in f"{found}"
    assert bool(found.advice) == (status != "ok")


def test_without_a_dense_leg_none_is_missed() -> None:
    assert judge_response(response(rankings={"lexical": (Hit("d", 1.0),)}), Settings(), dense=False).status == "ok"


async def test_work_in_a_thread_ends_nobodys_wait() -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait()

    def fail() -> None:
        raise ClusterError("broken")

    assert await in_own_thread(lambda: threading.current_thread().daemon)
    with pytest.raises(ClusterError, match="broken"):
        await in_own_thread(fail)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await in_own_thread(hang)  # which hangs until after that
    release.set()
