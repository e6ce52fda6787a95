"""What the probe says of indices on real engines that have the property, and of those that have none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from support.indices.backfills import WORDS, WordEncoder, plan_for
from support.indices.scratch import unique_name
from support.indices.somebody import TEXT, Somebody
from support.parts import schema_of

from connector.backfill.fields import put_fields
from connector.backfill.planning.plan import BackfillWish, plan_backfill, probe_indices
from connector.backfill.planning.reading import find_indices, read_facts
from connector.backfill.probe.intent import Intent
from connector.backfill.probe.judge import NOTHING_PARTICULAR, judge
from connector.backfill.probe.verdict import ProbeVerdict
from connector.clusters.rest import RestCluster
from connector.errors import EncoderMismatch, IndexMissing, SettingsError
from connector.settings.sections import Settings

pytestmark = pytest.mark.live
TITLED = {"properties": {"title": TEXT}}


async def probe(somebody: Somebody, name: str, intent: Intent = NOTHING_PARTICULAR) -> ProbeVerdict:
    return judge(await read_facts(somebody.cluster, name), intent)


async def obstacles(somebody: Somebody, name: str, intent: Intent = NOTHING_PARTICULAR) -> set[str]:
    return {found.rule for found in (await probe(somebody, name, intent)).obstacles}


def concerns(verdict: ProbeVerdict) -> set[str]:
    return {found.rule for found in verdict.concerns}


def version(somebody: Somebody) -> tuple[int, int]:
    major, minor = somebody.cluster.engine.version.split(".")[:2]
    return int(major), int(minor)


async def test_an_index_with_nothing_particular_can_be_filled(somebody: Somebody) -> None:
    name = somebody.make(TITLED, {"title": "a"}, {"title": "b"}, settings=somebody.knn | {"number_of_shards": 2})
    alias = somebody.alias(name)
    for _ in range(3):
        somebody.send("PUT", f"/{name}/_doc/d0?refresh=true", {"title": "c"})
    facts = await read_facts(somebody.cluster, alias)
    verdict = judge(facts)

    assert verdict.in_place, verdict.words
    assert (verdict.index, facts.aliases, facts.documents, facts.versions.seen) == (name, (alias,), 2, 2)
    expected = {"versions", "alias"}
    if somebody.is_elasticsearch and version(somebody) >= (9, 2):
        expected.add("left-out-vectors")
    assert concerns(verdict) == expected


async def test_versions_of_an_application_are_found(somebody: Somebody) -> None:
    """Rows at their fifth revision, each written once: by their sum where the engine sums up, else by each."""
    name = somebody.make(TITLED, *[{"title": "a"}] * 3, settings=somebody.knn)
    assert await obstacles(somebody, name) == set()
    for at in range(6):
        somebody.send("PUT", f"/{name}/_doc/r{at}?version=4&version_type=external&refresh=true", {"title": "a"})
    verdict = await probe(somebody, name)

    assert [found.rule for found in verdict.obstacles] == ["external-versions"]
    assert "sum up to 27 or more, but it has seen only 9 writes" in verdict.words
    assert await obstacles(somebody, name, Intent(versions="internal")) == set()
    assert verdict.ways == ("into", "beside")
    assert isinstance(somebody.cluster, RestCluster)
    plan = await plan_for(somebody.cluster, name, {"title": 1.0})
    unchecked = replace(plan, added=replace(plan.added, versions_checked=False))
    await put_fields(somebody.cluster, unchecked)
    (probed,) = await probe_indices(somebody.cluster, name, BackfillWish({"title": 1.0}))
    assert probed.versions == "internal"  # as was said once


async def test_our_update_would_refuse_such_an_applications_next_write(somebody: Somebody) -> None:
    """The fact behind that rule."""
    name = somebody.make(TITLED)
    address = f"/{name}/_doc/a?version_type=external&version="
    somebody.send("PUT", f"{address}1700", {"title": "a"})
    somebody.send("POST", f"/{name}/_update/a", {"doc": {"ours": 1}})

    with pytest.raises(httpx.HTTPStatusError, match="409"):
        somebody.send("PUT", f"{address}1701", {"title": "b"})


async def test_each_block_is_named_with_what_lifts_it(somebody: Somebody) -> None:
    name = somebody.make(TITLED, {"title": "a"}, settings=somebody.knn)
    blocks = {
        "write": "block-write",
        "read_only": "block-read_only",
        "read_only_allow_delete": "full-disk",
        "metadata": "block-metadata",
        "read": "block-read",
    }
    if not somebody.is_elasticsearch and version(somebody) >= (3, 0):
        blocks["search_only"] = "block-search_only"
    for block, rule in blocks.items():
        somebody.send("PUT", f"/{name}/_settings", {f"index.blocks.{block}": True})
        verdict = await probe(somebody, name)
        somebody.send("PUT", f"/{name}/_settings", {f"index.blocks.{block}": False})

        assert [found.rule for found in verdict.obstacles] == [rule]
        assert f'{{"index.blocks.{block}": false}}' in verdict.words

    somebody.send("POST", f"/{name}/_close")
    assert [str(found) for found in (await probe(somebody, name)).obstacles] == [
        f"it is closed; open it: POST {name}/_open"
    ]


async def test_what_source_leaves_out_would_be_lost(somebody: Somebody) -> None:
    """The fact, and the rule: an update by anybody takes a field out of the index that `_source` lacks."""
    mapping: dict[str, Any] = {"_source": {"excludes": ["body"]}, "properties": {"title": TEXT, "body": TEXT}}
    name = somebody.make(mapping, {"title": "a", "body": "rare"}, settings=somebody.knn)
    found = {"query": {"match": {"body": "rare"}}}
    assert somebody.send("POST", f"/{name}/_search", found)["hits"]["hits"]
    verdict = await probe(somebody, name)
    somebody.send("POST", f"/{name}/_update/d0?refresh=true", {"doc": {"other": "a"}})
    assert not somebody.send("POST", f"/{name}/_search", found)["hits"]["hits"]

    assert [(obstacle.rule, obstacle.ways) for obstacle in verdict.obstacles] == [
        ("their-fields-left-out", ("beside",))
    ]
    about_texts = await probe(somebody, name, Intent(texts=("body",)))
    assert about_texts.ways == ()


async def test_other_sources_that_keep_too_little(somebody: Somebody) -> None:
    none = somebody.make({"_source": {"enabled": False}} | TITLED, settings=somebody.knn)
    ours = somebody.make({"_source": {"includes": ["title"]}} | TITLED, settings=somebody.knn)

    assert await obstacles(somebody, none) == {"no-source"}
    assert await obstacles(somebody, ours) == {"our-fields-left-out"}


async def test_names_that_are_taken_and_limits(somebody: Somebody) -> None:
    properties = {"passages": TEXT, "parts": {"type": "nested", "properties": {"a": {"type": "keyword"}}}}
    limits = {"total_fields": 7, "nested_fields": 1, "depth": 2}
    settings = somebody.knn | {f"index.mapping.{name}.limit": limit for name, limit in limits.items()}
    name = somebody.make({"properties": properties}, settings=settings)
    verdict = await probe(somebody, name)

    assert {found.rule for found in verdict.obstacles} == {"name-taken", "limit-total_fields", "limit-nested_fields"}
    assert '{"index.mapping.total_fields.limit": 8}' in verdict.words
    assert '{"index.mapping.nested_fields.limit": 2}' in verdict.words
    raised = {"index.mapping.total_fields.limit": 8, "index.mapping.nested_fields.limit": 2}
    somebody.send("PUT", f"/{name}/_settings", raised)
    assert await obstacles(somebody, name) == {"name-taken"}


async def test_a_name_that_only_documents_have_is_taken(somebody: Somebody) -> None:
    """Once it is mapped as ours, the engine refuses whatever is written with theirs."""
    theirs = {"title": "a", "passages": "12 to 14"}
    name = somebody.make({"dynamic": False} | TITLED, theirs, settings=somebody.knn)
    assert await obstacles(somebody, name) == {"name-taken"}
    somebody.send("PUT", f"/{name}/_mapping", {"properties": {"passages": {"type": "nested"}}})

    with pytest.raises(httpx.HTTPStatusError, match="400"):
        somebody.send("POST", f"/{name}/_update/d0", {"doc": {"title": "b"}})


@pytest.mark.each_engine
async def test_what_cannot_be_filled_as_it_was_created(somebody: Somebody) -> None:
    made: dict[str, str] = {}

    def make(rule: str, mapping: dict[str, Any], **settings: Any) -> None:
        made[rule] = somebody.make(mapping, settings=settings)

    titled = {"properties": {"title": {"type": "keyword"}}}
    if somebody.is_elasticsearch:
        host = {"type": "keyword", "time_series_dimension": True}
        dimension = {"properties": {"@timestamp": {"type": "date"}, "host": host}}
        make("time-series", dimension, mode="time_series", routing_path=["host"])
        make("no-objects", {"subobjects": False})
    else:
        make("no-knn", titled)
        make("append-only", titled, **somebody.knn, **{"index.append_only.enabled": True})
        if version(somebody) < (3, 0):
            make("sorted", titled, **somebody.knn, **{"index.sort.field": ["title"]})
        else:
            make("derived-source", titled, **somebody.knn, **{"index.derived_source.enabled": True})
    make("not-mapped", {"enabled": False}, **somebody.knn)

    assert {rule: await obstacles(somebody, name) for rule, name in made.items()} == {rule: {rule} for rule in made}


async def test_what_looks_particular_and_can_be_filled(somebody: Somebody) -> None:
    """Sorted where the engine takes it, logsdb, required routing, parents and children."""
    properties = {"title": {"type": "keyword"}}
    sorted_too = somebody.is_elasticsearch or version(somebody) >= (3, 0)
    settings = somebody.knn | ({"index.sort.field": ["title"]} if sorted_too else {})
    mapping: dict[str, Any] = {"dynamic": "strict", "_routing": {"required": True}, "properties": properties}
    routed = somebody.make(mapping, {"title": "a", "_routing": "x"}, settings=settings)
    verdicts = [await probe(somebody, routed)]
    if somebody.is_elasticsearch:
        logs = await probe(somebody, somebody.make(TITLED, settings={"mode": "logsdb"}))
        assert "synthetic-source" in concerns(logs)
        verdicts.append(logs)
    elif version(somebody) >= (3, 0):
        family = {"join": {"type": "join", "relations": {"a": "b"}}, "asked": {"type": "percolator"}}
        verdicts.append(await probe(somebody, somebody.make({"properties": family}, settings=somebody.knn)))

    assert [verdict.words for verdict in verdicts] == [""] * len(verdicts)


async def test_each_index_is_filled_by_its_own_name(somebody: Somebody) -> None:
    stream = somebody.stream(TITLED, {"@timestamp": "2026-01-01", "title": "a"}, {"@timestamp": "2026-01-02"})
    behind = await find_indices(somebody.cluster, stream)
    assert len(behind) == 2
    with pytest.raises(SettingsError, match="stands for 2 indices, and each is filled by its own name"):
        await read_facts(somebody.cluster, stream)
    with pytest.raises(IndexMissing):
        await read_facts(somebody.cluster, unique_name())

    verdict = await probe(somebody, behind[0])

    assert "data-stream" in concerns(verdict)
    assert stream in " ".join(map(str, verdict.concerns))


async def test_what_cannot_be_gone_on_with_is_said_before_anything_is_written(somebody: Somebody) -> None:
    assert isinstance(somebody.cluster, RestCluster)
    cluster, settings = somebody.cluster, Settings()
    name = somebody.make({"properties": {"title": TEXT}}, {"title": "a"}, settings=somebody.knn)
    ours = somebody.make({"properties": {"title": TEXT}, "_meta": schema_of(WordEncoder()).to_meta()})
    before = somebody.send("GET", f"/{name}/_mapping")

    with pytest.raises(SettingsError, match=r"was made by the connector and has its vectors.*connector ingest SOURCE"):
        await probe_indices(cluster, ours, BackfillWish())
    with pytest.raises(SettingsError, match="cannot be filled in place: the application gives the versions"):
        await probe_indices(cluster, name, BackfillWish(versions="external"))
    assert somebody.send("GET", f"/{name}/_mapping") == before
    await put_fields(cluster, await plan_for(cluster, name, {"title": 1.0}))
    with pytest.raises(SettingsError, match="was back-filled under 'passages'; leave --field out to go on with that"):
        await probe_indices(cluster, name, BackfillWish(field="others"))
    (probed,) = await probe_indices(cluster, name, BackfillWish())
    with pytest.raises(EncoderMismatch, match=f"connector migrate {name}"):
        await plan_backfill(cluster, probed, replace(WORDS, sha256="fedcba9876543210"), settings)
