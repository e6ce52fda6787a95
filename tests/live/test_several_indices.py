"""A name that stands for several indices that somebody else made: patterns, lists, aliases, data streams."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from support.indices.scratch import unique_name
from support.indices.somebody import TEXT, Somebody
from support.parts import OverlapScorer, ids, serving

from connector.clusters.protocol import Index, SearchableIndex
from connector.contract.synthetic import make_documents, schema
from connector.doctor.checkup import open_cluster_checks
from connector.errors import IndexMissing, SettingsError
from connector.filters import check_filter, parse_filter
from connector.ingest.job import find_index
from connector.layout import Address
from connector.lexical import LexicalQuery
from connector.rerankers.worker import WorkerClient
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, WorkerSettings
from connector.types import SearchRequest
from connector.wiring import build_searcher, open_index
from connector.worker.app import create_app

pytestmark = pytest.mark.live
TIMEOUT_S = 30.0
QUERY = np.array([1, 0.9, 0.9, 0.9], dtype=np.float32)


async def found(index: SearchableIndex, words: str, filter: Any = None) -> set[str]:
    checked = check_filter(parse_filter(filter), index.schema.fields.metadata)
    answer = await index.lexical(LexicalQuery(words), depth=10, filter=checked, timeout_s=TIMEOUT_S)
    return set(ids(answer.ranking))


async def nearest(index: Index, field: str | None = None, **options: Any) -> list[str]:
    return ids(await index.dense(QUERY, depth=5, filter=None, timeout_s=TIMEOUT_S, field=field, **options))


async def test_the_same_id_in_two_indices_is_two_documents(somebody: Somebody) -> None:
    prefix = unique_name()
    mapping = {"properties": {"title": TEXT, "team": {"type": "keyword"}}}
    for at, team in enumerate(("red", "blue")):
        somebody.make(mapping, {"title": f"kiln {team}", "team": team}, name=f"{prefix}-{at}")
    red, blue = f"{prefix}-0/d0", f"{prefix}-1/d0"
    for name in (f"{prefix}-*", f"{prefix}-0,{prefix}-1", somebody.alias(f"{prefix}-*")):
        index = await somebody.open(name, "title")
        answer = await index.lexical(LexicalQuery("kiln"), depth=5, filter=None, timeout_s=TIMEOUT_S)

        assert {hit.doc_id: hit.passages[0].text for hit in answer.ranking} == {red: "kiln red", blue: "kiln blue"}
        assert await index.get([blue], fields=None, timeout_s=TIMEOUT_S) == {
            blue: {"title": "kiln blue", "team": "blue"}
        }
        content = await index.content([red, blue], query="kiln", vector=None, timeout_s=TIMEOUT_S)
        assert {doc_id: document.fields["team"] for doc_id, document in content.items()} == {red: "red", blue: "blue"}
        assert index.schema.layout.address(blue, index.name) == Address(f"{prefix}-1", "d0")
        assert (await index.term_statistics("red", timeout_s=TIMEOUT_S)).documents == 2


async def test_what_one_of_them_lacks_is_found_and_said(somebody: Somebody) -> None:
    prefix = unique_name()
    vector, other = somebody.vector(), somebody.vector(8)
    notes = {"type": "nested", "properties": {"text": TEXT}}
    somebody.make(
        {"properties": {"title": TEXT, "vec": vector, "team": {"type": "keyword"}, "notes": notes}},
        {"title": "kiln one", "vec": [1, 1, 1, 1], "team": "red", "notes": [{"text": "glaze"}]},
        settings=somebody.knn,
        name=f"{prefix}-0",
    )
    somebody.make({"properties": {"title": TEXT, "vec": vector}}, {"title": "kiln two", "vec": [1, 1, 0, 0]},
                  settings=somebody.knn, name=f"{prefix}-1")  # fmt: skip
    somebody.make({"properties": {"title": TEXT, "vec": other}}, {"title": "kiln three", "vec": [1] * 8},
                  settings=somebody.knn, name=f"{prefix}-2")  # fmt: skip
    somebody.make({"properties": {"title": {"type": "long"}}}, {"title": 4}, name=f"{prefix}-3")
    index = await somebody.open(f"{prefix}-*", "title", "notes.text", vector="vec")
    members = index.schema.layout.members
    text = "; ".join(members.notes_of(["vec"]))

    assert await found(index, "kiln") == {f"{prefix}-{at}/d0" for at in range(3)}
    assert await found(index, "glaze") == {f"{prefix}-0/d0"}
    assert await nearest(index) == [f"{prefix}-0/d0", f"{prefix}-1/d0"]
    assert await found(index, "kiln", "team=red") == {f"{prefix}-0/d0"}
    assert await found(index, "kiln", "team!=red") == {f"{prefix}-1/d0", f"{prefix}-2/d0"}
    assert f"a dense leg does not search 1 of 4 indices ({prefix}-2), whose vectors are of another kind" in text
    assert f"a dense leg finds no document of 1 of 4 indices ({prefix}-3), which lack 'vec'" in text
    assert "text field 'title' is text in 3 of 4 indices" in text
    assert "have no text field 'notes.text': their documents are searched without it" in text
    assert next(members.notes_on(["team"])).startswith("no document of 3 of 4 indices")


async def test_closed_and_hidden_members_are_not_searched_and_named(somebody: Somebody) -> None:
    prefix = unique_name()
    for at in range(3):
        settings = {"index.hidden": True} if at == 2 else {}
        somebody.make({"properties": {"title": TEXT}}, {"title": "kiln"}, settings=settings, name=f"{prefix}-{at}")
    alias = somebody.alias(f"{prefix}-0,{prefix}-1")
    somebody.send("POST", f"/{prefix}-1/_close")
    pattern, listed = await somebody.open(f"{prefix}-*", "title"), await somebody.open(alias, "title")
    members = pattern.schema.layout.members

    frozen = await listed.as_of(await listed.open_view(60, timeout_s=TIMEOUT_S), 60)
    assert await found(frozen, "kiln") == {f"{prefix}-0/d0"}
    await frozen.close_view(timeout_s=TIMEOUT_S)
    assert await found(pattern, "kiln") == await found(listed, "kiln") == {f"{prefix}-0/d0"}
    assert (members.closed, members.hidden) == ((f"{prefix}-1",), (f"{prefix}-2",))
    assert members.notes == (f"not searched, since they are closed: 1 of 2 indices ({prefix}-1)",)
    with pytest.raises(SettingsError, match="stands for closed indices alone"):
        await somebody.open(f"{prefix}-1,{prefix}-1", "title")


async def test_the_doctor_looks_at_each_member_that_is_open(somebody: Somebody) -> None:
    prefix = unique_name()
    for at in range(3):
        settings = {"index.refresh_interval": "-1"} if at == 1 else {}
        mapping = {"properties": {"title": TEXT, "size": {"type": "long" if at else "keyword"}}}
        somebody.make(mapping, {"title": f"kiln {at}"}, settings=settings, name=f"{prefix}-{at}")
    alias = somebody.alias(f"{prefix}-0,{prefix}-1,{prefix}-2")
    somebody.send("POST", f"/{prefix}-2/_close")
    checks = open_cluster_checks(somebody.cluster, timeout_s=TIMEOUT_S)
    for name in (alias, f"{prefix}-0,{prefix}-1", f"{prefix}-*"):
        index = await somebody.open(name, "title")
        copies, blocks = await checks.state(index)

        assert (await checks.contents(index)).facts["documents"] == 2
        assert {sample.text for sample in await checks.samples(index, 5)} == {"kiln 0", "kiln 1"}
        assert copies.status == "warn"
        assert copies.seen.startswith(f"{prefix}-1: ")
        assert blocks.status == "ok"
        assert [finding.check for finding in await checks.access(name, exists=True)] == ["access"]
        assert (await checks.health(name)).check == "health"  # a closed one is red for a moment


async def test_an_alias_of_several_shows_of_each_what_its_filter_lets_through(somebody: Somebody) -> None:
    alias, mapping = (
        unique_name(),
        {"properties": {"title": TEXT, "team": {"type": "keyword"}, "vec": somebody.vector()}},
    )
    documents = [{"title": "kiln", "team": team, "vec": [1, 1, 1, at]} for at, team in enumerate(("red", "blue"))]
    narrow, wide = (somebody.make(mapping, *documents, settings=somebody.knn) for _ in range(2))
    add = [{"index": narrow, "alias": alias, "filter": {"term": {"team": "red"}}}, {"index": wide, "alias": alias}]
    somebody.send("POST", "/_aliases", {"actions": [{"add": action} for action in add]})
    index = await somebody.open(alias, "title", vector="vec")
    expected = {f"{narrow}/d0", f"{wide}/d0", f"{wide}/d1"}

    assert await found(index, "kiln") == expected
    assert set(await nearest(index)) == expected


async def test_documents_of_a_data_stream_are_told_apart_by_their_backing_index(somebody: Somebody) -> None:
    mapping = {"properties": {"@timestamp": {"type": "date"}, "message": TEXT}}
    stream = somebody.stream(mapping, *({"@timestamp": "2024-05-01", "message": f"gate {at}"} for at in range(2)))
    index = await somebody.open(stream, "message")
    hits = await found(index, "gate")

    assert {index.schema.layout.address(hit, "").index for hit in hits} == set(index.schema.layout.members.names)
    assert len(await index.get(sorted(hits), fields=None, timeout_s=TIMEOUT_S)) == 2


async def test_a_search_says_where_its_hits_are_and_shows_what_of_a_long_text_won(
    somebody: Somebody, engine: ClusterSettings
) -> None:
    prefix, filler = unique_name(), "The clerk wrote down what the market sold that day. " * 90
    for at in range(2):
        properties = {"title": TEXT, "body": TEXT} | ({"team": {"type": "keyword"}} if at else {})
        mapping = {"_routing": {"required": True}, "properties": properties}
        body = f"{filler}The kiln of house {at} cracked its glaze. {filler}"
        document = {"_id": "7", "_routing": "t", "title": "Ledger", "body": body}
        somebody.make(mapping, document | ({"team": "red"} if at else {}), name=f"{prefix}-{at}")
    settings = load_settings(
        environ={},
        overrides={
            "cluster.url": engine.url,
            "index.name": f"{prefix}-*",
            "index.text_fields": {"title": 1.0, "body": 1.0},
            "search.deadline_s": 120.0,
        },
    )
    index = await open_index(somebody.cluster, settings)
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        client = WorkerClient(url)
        try:
            searcher = build_searcher(index, None, {"local": client}, settings)
            response = await searcher.search(SearchRequest("why did the kiln crack its glaze", filter="team!=blue"))
        finally:
            await client.close()

    assert response.degraded == ()
    assert {hit.address for hit in response.hits} == {Address(f"{prefix}-{at}", "7", "t") for at in range(2)}
    for hit in response.hits:
        assert hit.passage
        assert hit.passage.text.startswith("Ledger\n")
        assert f"The kiln of house {hit.index[-1]} cracked" in hit.passage.text
        assert len(hit.passage.text) < len(filler) / 2
    assert [note for note in response.notes if "has the field 'team'" in note] != []


async def test_a_name_of_nothing_is_missing_and_nothing_is_written_to_several(somebody: Somebody) -> None:
    name = somebody.make({"properties": {"title": TEXT}}, {"title": "kiln"})
    several = await somebody.open(f"{name}*", "title")

    assert await found(several, "kiln") == {f"{name}/d0"}
    for missing in (f"{name},{name}x", f"{name}x*"):
        with pytest.raises(IndexMissing):
            await somebody.open(missing, "title")
    with pytest.raises(SettingsError, match="searched and not written to; name one of them"):
        await several.write([])
    with pytest.raises(SettingsError, match="cannot be the name of one index"):
        await somebody.cluster.drop_index(f"{name}*")


async def test_two_indices_of_ours_are_searched_as_one_with_their_passages(somebody: Somebody) -> None:
    prefix, documents = unique_name(), make_documents(12)
    names = [f"{prefix}-{at}" for at in range(2)]
    try:
        for name in names:
            made = await somebody.cluster.create_index(name, schema())
            await made.write(documents)
            await made.finish()
        index = await somebody.cluster.open_index(f"{prefix}-*")
        wanted = next(document for document in documents if document.passages)
        twice = [f"{name}/{wanted.document.doc_id}" for name in names]
        near = await index.dense(wanted.vectors[0], depth=2, filter=None, timeout_s=TIMEOUT_S, passages=2)
        content = await index.content(twice, query=None, vector=wanted.vectors[0], timeout_s=TIMEOUT_S)
        texts = LexicalQuery(wanted.passages[0].text)
        lexical = (await index.lexical(texts, depth=2, filter=None, timeout_s=TIMEOUT_S)).ranking

        assert ids(near) == twice
        assert [hit.passages[0].text for hit in near] == [wanted.passages[0].text] * 2
        assert [document.nearest and document.nearest.text for document in content.values()] == [
            wanted.passages[0].text
        ] * 2
        assert {doc_id.partition("/")[0] for doc_id in ids(lexical)} == set(names)
        assert (await index.get(twice, fields=["content_hash"], timeout_s=TIMEOUT_S)).keys() == set(twice)
        with pytest.raises(SettingsError, match="searched and not written to"):
            await index.remove([wanted.document.doc_id])
        listed = load_settings(environ={}, overrides={"index.name": somebody.alias(",".join(names))})
        with pytest.raises(SettingsError, match="name the one to ingest into"):
            await find_index(somebody.cluster, listed)
    finally:
        for name in names:
            with contextlib.suppress(IndexMissing):
                await somebody.cluster.drop_index(name)
