"""Searches with a caller's credentials: a restricted user never sees, and is never reranked with, a foreign
document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.indices.scratch import drop, unique_name
from support.indices.secured import Secured
from support.indices.two_departments import (
    COUNTS,
    FOREIGN,
    MARKS,
    OWN,
    QUERY,
    Place,
    assert_nothing_foreign,
    call_of,
    credentials_of,
    fill,
    watching,
)
from support.runs.effort import IS_SOAK

from connector.clusters.connect import connect
from connector.clusters.reading import hidden_hits
from connector.credentials import Credentials
from connector.errors import AccessDenied
from connector.models.encoder import Encoder
from connector.remote.process import WorkerProcess

TIMES = 10 if IS_SOAK else 4  # each of several callers at once
SMALL = {"search.depth": 20, "search.rerank": {"window": 20}, "search.k": 5}


@pytest.fixture(scope="module")
def place(secured: Secured, encoder: Encoder) -> Iterator[Place]:
    index = unique_name()
    asyncio.run(fill(secured.superuser, index, encoder))
    service = secured.add_user(f"{index}-service", secured.role("search", index))
    callers = {OWN: secured.add_user(f"{index}-legal", secured.role("caller", index))}
    board = json.loads(json.dumps(secured.role("caller", index)).replace("legal", FOREIGN))
    callers[FOREIGN] = secured.add_user(f"{index}-board", board)
    yield Place(secured, index, service, callers)
    asyncio.run(drop(secured.superuser, index))


async def test_a_restricted_user_sees_own_documents_only_on_both_legs(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    async with watching(place, encoder, worker) as watched:
        everything = await watched.search(None)
        texts_of_all = watched.texts
        watched.to_worker.seen.clear()
        response = await watched.search(place.caller(OWN))
        texts = watched.texts

    assert response.degraded == ()
    assert_nothing_foreign(response, texts)
    assert {leg: len(response.rankings[leg]) for leg in ("lexical", "dense")} == {"lexical": 20, "dense": 20}
    assert [hit.stage for hit in response.hits] == ["local"] * 20
    assert all(hit.fields["department"] == OWN and MARKS[OWN] in hit.fields["text"] for hit in response.hits)
    assert all(hit.passage and {"lexical", "dense"} == set(hit.explain.legs) for hit in response.hits)
    assert texts
    # what was kept from this user does compete: the service is given it, on both legs and by the worker
    assert any(MARKS[FOREIGN] in text for text in texts_of_all)
    for leg in ("lexical", "dense", "fused", "reranked"):
        assert any(hit.doc_id.startswith(FOREIGN) for hit in everything.rankings[leg][:20])


async def test_every_request_of_a_search_is_sent_as_its_caller(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    caller = place.caller(OWN)
    async with watching(place, encoder, worker) as watched:
        await watched.search(caller)
        calls = {call_of(seen) for seen in watched.to_engine.seen}
        principals = watched.principals
        watched.to_engine.seen.clear()
        await watched.search(None)
        afterwards = watched.principals
        scopes = [seen.headers.get("x-cache-scope") for seen in watched.to_worker.seen if seen.path == "/rerank"]
        to_worker = str([seen.headers for seen in watched.to_worker.seen])

    assert {"lexical", "dense", "term_weights", "fields"} <= calls
    assert principals == set(caller.header.values())
    assert afterwards == set(credentials_of(place.service).header.values())
    assert scopes == [caller.scope, None]  # what the worker remembers of this caller's search serves no other
    assert "authorization" not in to_worker


async def test_a_caller_may_bring_credentials_of_any_kind(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    engine = place.engine
    callers = [Credentials.bearer(engine.add_token(place.callers[OWN]))]
    if engine.kind == "elasticsearch":
        key = engine.add_key(engine.role("caller", place.index))
        callers += [Credentials.api_key(key["encoded"]), Credentials.api_key(f"{key['id']}:{key['api_key']}")]
    async with watching(place, encoder, worker) as watched:
        for caller in callers:
            response = await watched.search(caller)

            assert_nothing_foreign(response, watched.texts)
            assert (len(response.hits), response.degraded) == (20, ())


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("department=legal", 20),
        ("department=board", 0),
        ("week>=10", 10),
        ("department!=legal", 0),
        ({"or": [{"term": {"department": FOREIGN}}, {"range": {"week": {"lt": 5}}}]}, 5),
        ({"not": {"exists": "week"}}, 0),
    ],
    ids=str,
)
async def test_a_filter_narrows_what_a_caller_sees_and_never_widens_it(
    place: Place, encoder: Encoder, worker: WorkerProcess, filter: Any, expected: int
) -> None:
    async with watching(place, encoder, worker) as watched:
        response = await watched.search(place.caller(OWN), filter=filter)

        assert_nothing_foreign(response, watched.texts)
        assert (len(response.hits), response.degraded) == (expected, ())


@pytest.mark.parametrize("broken", ["lexical", "dense", "term_weights", "fields"])
async def test_a_part_that_fails_is_not_made_up_for_with_the_rights_of_the_service(
    place: Place, encoder: Encoder, worker: WorkerProcess, broken: str
) -> None:
    async with watching(place, encoder, worker, broken) as watched:
        response = await watched.search(place.caller(OWN))

        assert [degradation.stage for degradation in response.degraded] == [broken]
        assert len(response.hits) == 20
        assert_nothing_foreign(response, watched.texts)
        assert watched.principals == set(place.caller(OWN).header.values())


async def test_a_search_that_reranks_nothing_keeps_to_the_caller_too(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    async with watching(place, encoder, worker) as watched:
        response = await watched.search(place.caller(OWN), rerank=False)

        assert_nothing_foreign(response, watched.texts)
        assert [hit.stage for hit in response.hits] == ["fused"] * 20
        assert watched.to_worker.seen == []


@pytest.mark.parametrize("facets", ["lexical", "union"])
async def test_a_results_page_counts_and_marks_only_what_the_caller_may_see(
    place: Place, encoder: Encoder, worker: WorkerProcess, facets: Any
) -> None:
    asked: dict[str, Any] = {
        "aggs": {"departments": {"terms": {"field": "department"}}, "best": {"top_hits": {"size": 3}}},
        "facets": facets,
        "highlight": True,
        "collapse": "week",
    }
    async with watching(place, encoder, worker) as watched:
        everything = await watched.search(None, **asked)
        watched.to_engine.seen.clear()
        response = await watched.search(place.caller(OWN), f"{QUERY} {MARKS[FOREIGN]}", **asked)
        principals = watched.principals
        in_order = await watched.search(place.caller(OWN), sort="week:desc", total=True, highlight=True)

    assert response.degraded == in_order.degraded == ()
    assert response.total
    assert in_order.total
    assert response.total.value == in_order.total.value == COUNTS[OWN]
    assert response.aggregations["departments"]["buckets"] == [{"key": OWN, "doc_count": COUNTS[OWN]}]
    assert MARKS[FOREIGN] not in json.dumps(response.aggregations)
    assert principals == set(place.caller(OWN).header.values())
    assert len({hit.fields["week"] for hit in response.hits}) == len(response.hits) == COUNTS[OWN]
    assert all(hit.highlight for hit in (*response.hits, *in_order.hits))
    assert [hit.fields["week"] for hit in in_order.hits] == [*reversed(range(COUNTS[OWN]))]
    assert everything.total
    assert everything.total.value == sum(COUNTS.values())


async def test_words_are_weighed_by_what_the_caller_may_see(place: Place, encoder: Encoder) -> None:
    cluster = await connect(place.service)
    try:
        index = await cluster.open_index(place.index)
        query = "refunds by the basilisk or orchid desk of rule 7"
        seen = await index.as_caller(place.caller(OWN)).term_statistics(query, timeout_s=30)
        of_all = await index.term_statistics(query, timeout_s=30)
    finally:
        await cluster.close()
    counted = {query[term.start : term.end]: term.frequency for term in seen.terms}

    assert seen.documents == COUNTS[OWN]
    assert counted == {
        "basilisk": 0,
        "7": 2,
    }  # the days of rule 4, too; what is in every document counts as a stop word
    # the engines' own statistics, which the service takes, tell of documents whoever asks for them
    assert of_all.documents == sum(COUNTS.values())
    assert COUNTS[FOREIGN] in [term.frequency for term in of_all.terms]


async def test_a_service_that_may_read_nothing_serves_callers_who_may(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    role = place.engine.role("search", place.index)
    if place.engine.kind == "elasticsearch":
        role["indices"][0]["privileges"].remove("read")
    else:
        role["index_permissions"][0]["allowed_actions"].remove("read")
    blind = replace(place, service=place.engine.add_user(f"{place.index}-blind", role))
    async with watching(blind, encoder, worker) as watched:
        response = await watched.search(place.caller(OWN))
        with pytest.raises(AccessDenied, match=f"may not read index '{place.index}'"):
            await watched.search(None)

        assert_nothing_foreign(response, watched.texts)
        assert (len(response.hits), response.degraded) == (20, ())


@pytest.mark.parametrize("wrong", ["password", "token", "no right"])
async def test_a_caller_who_is_refused_gets_no_answer_and_never_the_services(
    place: Place, encoder: Encoder, worker: WorkerProcess, wrong: str
) -> None:
    name = f"{place.index}-nobody"
    nobody = credentials_of(place.engine.add_user(name, place.engine.role("caller", f"{place.index}-other")))
    caller, words = {
        "password": (Credentials.basic(f"{place.index}-legal", "wrong"), "does not accept the caller's user name"),
        "token": (Credentials.bearer("wrong"), "does not accept the caller's bearer token"),
        "no right": (nobody, rf"user \[{name}\] may not read index '{place.index}' .*; grant "),
    }[wrong]
    async with watching(place, encoder, worker) as watched:
        with pytest.raises(AccessDenied, match=words) as caught:
            await watched.search(caller)

    assert caught.value.status == (403 if wrong == "no right" else 401)
    assert watched.principals == set(caller.header.values())
    assert watched.texts == []
    assert caller.authorization.get_secret_value().split()[1] not in str(caught.value)


async def test_many_callers_at_once_are_not_mixed_up(place: Place, encoder: Encoder, worker: WorkerProcess) -> None:
    callers = {OWN: place.caller(OWN), FOREIGN: place.caller(FOREIGN), "service": None}
    async with watching(place, encoder, worker) as watched:
        alone = {name: await watched.search(caller) for name, caller in callers.items()}
        watched.to_worker.seen.clear()
        order = [name for _ in range(TIMES) for name in callers]
        responses = await asyncio.gather(*(watched.search(callers[name]) for name in order))
        given = [json.loads(seen.body)["texts"] for seen in watched.to_worker.seen if seen.body]

    for name, response in zip(order, responses, strict=True):
        assert response.degraded == ()
        assert [hit.doc_id for hit in response.hits] == [hit.doc_id for hit in alone[name].hits]
        if name in COUNTS:
            assert_nothing_foreign(response, [], name)
    mixtures = [frozenset(mark for mark in MARKS.values() for text in texts if mark in text) for texts in given]
    again = len(given) - len(order)  # a busy worker's client sends one again

    assert again >= 0
    assert TIMES <= mixtures.count(frozenset({MARKS[OWN]})) <= TIMES + again


async def test_scores_are_those_of_the_documents_and_not_of_the_rule_that_admits_them(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    async with watching(place, encoder, worker, **{"search.depth": 200, "search.k": 60}) as watched:
        mine = await watched.search(place.caller(OWN), rerank=False)
        of_all = await watched.search(None, rerank=False)
    for leg, tolerance in (("lexical", 1e-5), ("dense", 0.02)):  # quantised vectors are compared, or exact ones
        known = {hit.doc_id: hit.score for hit in of_all.rankings[leg]}

        assert {hit.doc_id: hit.score for hit in mine.rankings[leg]} == pytest.approx(
            {doc_id: score for doc_id, score in known.items() if doc_id.startswith(OWN)}, abs=tolerance
        )


@pytest.mark.parametrize("depth", [3, 10, 20])
async def test_as_many_neighbours_come_as_were_asked_for(
    place: Place, encoder: Encoder, worker: WorkerProcess, depth: int
) -> None:
    sizes = {"search.depth": depth, "search.rerank": {"window": depth}, "search.k": depth}
    async with watching(place, encoder, worker, **sizes) as watched:
        response = await watched.search(place.caller(OWN))

        assert_nothing_foreign(response, watched.texts)
        assert len(response.rankings["dense"]) == depth
        assert response.degraded == ()


async def test_neighbours_among_too_many_documents_to_compare_are_looked_for_deeper(
    place: Place, encoder: Encoder, worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_hits, "MAX_EXACT", 5)
    async with watching(place, encoder, worker, **SMALL) as watched:
        response = await watched.search(place.caller(OWN))

        assert_nothing_foreign(response, watched.texts)
        assert len(response.rankings["dense"]) == 20
        assert response.degraded == ()


async def test_neighbours_that_cannot_be_had_are_told_of(
    place: Place, encoder: Encoder, worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_hits, "MAX_EXACT", 5)
    monkeypatch.setattr(hidden_hits, "DEEPER", (110,))
    async with watching(place, encoder, worker, **SMALL) as watched:
        response = await watched.search(place.caller(OWN))
        assert_nothing_foreign(response, watched.texts)
        filtered = await watched.search(place.caller(OWN), filter="department=legal")

    if place.engine.kind == "opensearch":  # Elasticsearch hides documents before it looks for neighbours
        assert [degradation.stage for degradation in response.degraded] == ["dense"]
        assert "give the search a filter that says what may be seen" in response.degraded[0].reason
    else:
        assert response.degraded == ()
    assert len(filtered.rankings["dense"]) == 20
    assert filtered.degraded == ()


async def test_passages_that_are_hidden_from_a_caller_are_not_reranked(
    place: Place, encoder: Encoder, worker: WorkerProcess
) -> None:
    role = place.engine.role("caller", place.index)
    if place.engine.kind == "elasticsearch":
        role["indices"][0]["field_security"] = {"grant": ["*"], "except": ["text", "passages.*"]}
    else:
        role["index_permissions"][0]["fls"] = ["~text", "~passages"]
    caller = credentials_of(place.engine.add_user(f"{place.index}-titles", role))
    async with watching(place, encoder, worker) as watched:
        response = await watched.search(caller)

        assert_nothing_foreign(response, watched.texts)
        assert watched.texts == []
        assert len(response.hits) == 20
        assert all(hit.passage is None and "text" not in hit.fields for hit in response.hits)
        assert all(hit.fields["title"] for hit in response.hits)
