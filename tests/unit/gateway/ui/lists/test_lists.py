"""Two pipelines on a list of queries: how it is read, compared, sorted and measured, over HTTP with the real store."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.gateway.gateway_api import TEXTS, api_settings, fill, running_api
from support.parts import wait_until

from connector.errors import ClusterError
from connector.evaluation.statistics.measures import measure
from connector.gateway.problems import ApiRefusal
from connector.gateway.ui.lists.difference import QueryDifference, compare_orders
from connector.gateway.ui.lists.measured import measure_differences
from connector.gateway.ui.lists.page import ListPage
from connector.gateway.ui.lists.reading import MAX_QUERIES, list_queries, read_list
from connector.gateway.ui.lists.run import MAX_KEPT, MAX_RUNNING, ListRun, ListRuns
from connector.gateway.ui.lists.table import DifferenceRow, Sorting, read_sorting, sort_rows, summarise
from connector.gateway.ui.page_params import PageParams
from connector.types import Hit

WORDS_ONLY = {"legs": {"lexical": {}, "dense": "off"}, "rerank": "off"}
SERVER = "http://evil.example"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = tmp_path_factory.mktemp("store")
    fill(store)
    pipelines = {"words only": WORDS_ONLY, "the same": {}, "reranked": {"rerank": [{"window": 50}]}}
    gateway = {"grades": str(store / "judged"), "pipelines": pipelines}
    with running_api(api_settings(f"embedded:{store}", gateway=gateway)) as api:
        api.headers["origin"] = str(api.base_url).rstrip("/")
        yield api


def begun(page: httpx.Client, **given: Any) -> str:
    """The address of a run that has ended."""
    files = given.pop("files", None) or {"file": ("", b"")}
    reply = page.post("/ui/lists", data={"a": "as set", "b": "words only", **given}, files=files)
    assert reply.status_code == 303, reply.text
    address = "/ui/" + reply.headers["location"]
    wait_until(lambda: 'data-state="running"' not in page.get(address).text)
    return address


def texts_of(page: str) -> list[str]:
    """The queries of the table."""
    return re.findall(r'<th scope="row"><a [^>]*>([^<]*)</a>', page)


def test_a_list_is_compared_and_each_query_leads_to_its_own_comparison(page: httpx.Client) -> None:
    address = begun(page, queries="red fish\n\nblue bird\nRED  fish\n?!\n", add="number>=0")
    text = page.get(address).text
    single = re.findall(r'<th scope="row"><a href="([^"]*)"', text)

    assert sorted(texts_of(text)) == ["blue bird", "red fish"]
    assert "1 left out, which are there before" in text
    assert "1 left out, which hold no letter and no digit" in text
    assert "Filtered by number&gt;=0" in text
    assert sorted(single)[0] == "./?q=blue+bird&amp;f=number%3E%3D0&amp;b=words+only"
    assert 'id="compared"' in page.get("/ui/" + single[0].replace("&amp;", "&")).text
    assert "words only to as set</a>" in page.get("/ui/lists").text


def test_the_sums_say_how_much_changed_and_for_whom(page: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of "zebra" is anywhere: words alone find nothing, and what is dense finds what was judged."""
    page.post("/ui/name", data={"name": "anna"})
    for doc_id in TEXTS:
        page.post("/ui/grade?q=zebra", data={"doc_id": doc_id, "grade": "3"})
    monkeypatch.setattr("connector.gateway.ui.lists.table.ROWS", 1)
    address = begun(page, queries="zebra\nblue bird")  # of which no other test judges anything
    cut, whole = page.get(address).text, page.get(address + "&all=1").text
    same = page.get(begun(page, queries="zebra", b="the same")).text
    degraded = page.get(begun(page, queries="red", a="reranked")).text

    assert texts_of(cut) == ["zebra"]  # what changed most
    assert "Show all 2" in cut
    assert sorted(texts_of(whole)) == ["blue bird", "zebra"]
    assert re.search(r"nDCG@10</th><td>0.000</td><td>1.000</td>\s<td>.*\+1.000.*<td>1</td><td>0</td>", cut)
    assert sums_of(same) == {"First 10 unchanged": "1 of 1", "Another first hit": "0 of 1"}
    assert sums_of(cut)["Another first hit"].startswith(("1", "2"))
    assert "reranked: local: " in degraded.partition('class="warned"')[2]
    assert "of 1 something was left out" in degraded


def sums_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]*)</dt><dd>(\d+ of \d+)</dd>", text))


def test_queries_come_out_of_a_file_and_of_the_judging_folder(page: httpx.Client) -> None:
    lines = b'\xef\xbb\xbf{"_id": "q1", "text": "green fish"}\nblue {bird\n{"title": "no text"}\n'
    of_file = page.get(begun(page, files={"file": ("queries.jsonl", lines)})).text
    page.post("/ui/name", data={"name": "anna"})
    for doc_id, grade in (("a", 3), ("d", 1)):
        page.post("/ui/grade?q=red+fish", data={"doc_id": doc_id, "grade": str(grade)})
    page.post("/ui/grade?q=a+bird", data={"doc_id": "a", "grade": "0"})
    of_folder = page.get(begun(page, **{"from": "folder"}, queries="not this")).text
    broken = page.post("/ui/lists", data={"b": "words only"}, files={"file": ("x", b"\xff\xfe\x00")})

    assert sorted(texts_of(of_file)) == ["blue {bird", "green fish", "{&#34;title&#34;: &#34;no text&#34;}"]
    assert {"a bird", "red fish"} <= set(texts_of(of_folder))  # beside those of other tests
    assert f"{len(texts_of(of_folder))} of the queries have judgments" in of_folder
    assert re.search(r"nDCG@10</th><td>\d\.\d{3}</td><td>\d\.\d{3}</td>", of_folder)
    assert "nDCG@10" not in of_file
    assert (broken.status_code, "no text in UTF-8" in broken.text) == (400, True)


def test_what_is_compared_while_a_page_is_made_is_on_the_next_one(
    page: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.post("/ui/name", data={"name": "anna"})
    for query in ("early", "late"):
        page.post(f"/ui/grade?q={query}", data={"doc_id": "a", "grade": "3"})
    runs: list[ListRun] = []
    goes_on = threading.Event()

    async def compare(self: ListPage, params: PageParams, credentials: Any, query: str) -> QueryDifference:
        if query == "late":
            await asyncio.to_thread(goes_on.wait, 120)
        return compare_orders(query, (["a"], ["b"]), (1, 1))

    def summarise_late(*given: Any) -> Any:
        goes_on.set()
        wait_until(lambda: runs[0].state == "done")
        return summarise(*given)

    def begin(self: ListRuns, run: ListRun) -> None:
        runs.append(run)
        run.start()
        self._runs[run.run_id] = run

    monkeypatch.setattr(ListPage, "_compare", compare)
    monkeypatch.setattr(ListRuns, "begin", begin)
    monkeypatch.setattr("connector.gateway.ui.lists.page.summarise", summarise_late)
    data = {"a": "as set", "b": "words only", "queries": "early\nlate"}
    reply = page.post("/ui/lists", data=data, files={"file": ("", b"")})
    wait_until(lambda: runs[0].done == 1)
    first, second = (page.get("/ui/" + reply.headers["location"]).text for _ in range(2))

    assert 'data-state="running"' in first
    assert "1 of 2 queries" in first
    assert texts_of(first) == ["early"]
    assert sorted(texts_of(second)) == ["early", "late"]
    assert "2 of the queries have judgments" in second
    assert '<span class="dim">not judged' not in first + second


def test_what_cannot_be_compared_is_said(page: httpx.Client) -> None:
    files = {"file": ("", b"")}
    replies = {
        words: page.post("/ui/lists", data=data, files=files)
        for words, data in {
            "compared with itself": {"a": "as set", "b": "as set", "queries": "x"},
            "there is no pipeline": {"b": "nothing", "queries": "x"},
            "no query was given": {"b": "words only", "queries": "?"},
        }.items()
    }
    gone = page.get("/ui/list?run=nothing")
    foreign = page.post("/ui/lists", data={"queries": "x"}, files=files, headers={"origin": SERVER})
    stopped = page.post("/ui/stop?run=nothing")

    assert {words: reply.status_code for words, reply in replies.items()} == dict.fromkeys(replies, 400)
    assert [words for words, reply in replies.items() if words not in reply.text] == []
    assert (gone.status_code, stopped.status_code, foreign.status_code) == (404, 404, 403)
    assert page.post("/ui/lists", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400


def test_a_filter_that_no_query_passes_ends_the_run_early_and_says_why(page: httpx.Client) -> None:
    text = page.get(begun(page, queries="\n".join(f"red {at}" for at in range(30)), add="colour=red")).text

    assert "stopped: the first 5 queries failed" in text
    assert "colour" in text


def test_with_several_processes_there_is_no_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_api(api_settings("http://127.0.0.1:9", gateway={"processes": 2})) as api:
        origin = {"origin": str(api.base_url).rstrip("/")}
        reply = api.post("/ui/lists", data={"queries": "x", "b": "no rerank"}, headers=origin)
        form = api.get("/ui/lists")

    assert (reply.status_code, form.status_code) == (400, 200)
    assert "gateway.processes is 2" in reply.text
    assert "gateway.processes is 2" in form.text


def test_a_list_is_read_line_by_line_and_bounded() -> None:
    listed = read_list("\n".join(f"query {at}" for at in range(MAX_QUERIES + 2)) + "\n" + "x" * 1_001)

    assert listed.queries == tuple(f"query {at}" for at in range(MAX_QUERIES))
    assert listed.notes == (
        "2 left out, which come after the first 1,000",
        "1 left out, which are longer than 1,000 characters",
    )
    assert list_queries(["Red", "red."]).queries == ("Red",)


def test_the_difference_of_two_orders() -> None:
    first, second = [f"d{at}" for at in range(12)], [f"d{at}" for at in (0, 2, 1, *range(3, 9), 11, 9, 10)]
    found = compare_orders("q", (first, second), (1.0, 2.0), ["b: late", "b: late"])

    assert (found.kept, found.top, found.first_change, found.left_out) == (9, 10, 2, ("b: late",))
    assert 0.8 < found.alike < 1
    same = compare_orders("q", (first[:3], first[:3]), (1, 1))
    assert (same.alike, same.kept, same.top, same.first_change) == (pytest.approx(1), 3, 3, None)
    assert compare_orders("q", (first, first[:5]), (1, 1)).first_change == 6
    assert compare_orders("q", ([], []), (1, 1)).first_change is None
    long = [f"d{at}" for at in range(150)]
    assert compare_orders("q", (long, [*long[:120], *long[:119:-1]]), (1, 1)).first_change is None


def row(query: str, alike: float, *, kept: int = 5, first: int | None = 1, gain: float | None = None) -> DifferenceRow:
    difference = QueryDifference(query, alike, kept, 10, first, ((), ()), (1, 1), ())
    return DifferenceRow(difference, "", None if gain is None else (0.5, 0.5 + gain))


def test_rows_are_sorted_by_each_column_from_either_end() -> None:
    rows = [
        row("b", 0.9, kept=9, first=None),
        row("A", 0.2, kept=1, first=3, gain=0.3),
        row("c", 0.2, kept=2, first=1, gain=-0.3),
    ]
    orders = {
        order: "".join(row.difference.query for row in sort_rows(rows, read_sorting(params(sort=order))))
        for order in ("", "alike", "-alike", "kept", "first", "-first", "gain", "-gain", "query", "-query", "nothing")
    }

    assert orders == {
        "": "Acb", "alike": "Acb", "-alike": "bAc", "kept": "Acb", "first": "cAb", "-first": "bAc",
        "gain": "cAb", "-gain": "Acb", "query": "Abc", "-query": "cbA", "nothing": "Acb",
    }  # fmt: skip
    sorting = Sorting("r", "kept", whole=True)
    assert sorting.address("kept") == "list?run=r&sort=-kept&all=1"
    assert sorting.address("first") == "list?run=r&sort=first&all=1"
    assert (sorting.direction("kept"), sorting.direction("first")) == ("ascending", None)
    assert Sorting("r", "kept", reverse=True).same_address == "list?run=r&sort=-kept"


def params(**given: str) -> Any:
    from starlette.datastructures import QueryParams

    return QueryParams(given)


def test_measures_are_those_of_an_evaluation() -> None:
    orders = {"q": (("a", "b", "c"), ("c", "a", "b")), "r": (("a",), ("b",)), "unjudged": (("a",), ("b",))}
    differences = [compare_orders(query, order, (1, 1)) for query, order in orders.items()]
    judgments = {"q": {"a": 3, "c": 1}, "r": {"b": 2}}
    figures = measure_differences(differences, judgments)
    run = {query: tuple(Hit(doc_id, -at) for at, doc_id in enumerate(orders[query][1])) for query in judgments}

    assert figures
    assert figures.judged == 2
    expected = measure(run, judgments, ("nDCG@10",))["nDCG@10"]
    assert {query: values[1] for query, values in figures.values.items()} == expected
    ndcg = figures.measures["nDCG@10"]
    assert (ndcg.better, ndcg.worse) == (1, 1)
    assert ndcg.second == pytest.approx(sum(expected.values()) / 2)
    assert ndcg.difference == pytest.approx(ndcg.second - ndcg.first)
    assert measure_differences(differences, {"other": {"a": 1}}) is None


class Gate:
    """Compares queries one by one, each when it is let through."""

    def __init__(self) -> None:
        self.under_way, self.most = 0, 0
        self.goes_on = asyncio.Semaphore(0)

    async def compare(self, query: str) -> QueryDifference:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.goes_on.acquire()
        finally:
            self.under_way -= 1
        if query == "broken":
            raise ClusterError("no", status=500)
        if query == "fault":
            raise RuntimeError("a fault")
        return compare_orders(query, ((), ()), (1, 1))


def new_run(gate: Gate, *queries: str) -> ListRun:
    return ListRun(PageParams(), list_queries(queries), None, gate.compare)


async def test_a_run_is_bounded_counts_what_fails_and_stops_when_told_to(caplog: pytest.LogCaptureFixture) -> None:
    gate, runs = Gate(), ListRuns()
    run = new_run(gate, "one", "broken", *(f"query {at}" for at in range(8)))
    runs.begin(run)
    for _ in range(3):
        gate.goes_on.release()
    for _ in range(50):  # steps of the loop, of which three queries need a few each
        await asyncio.sleep(0)
    assert run.done == 3
    assert (run.state, run.left_s is not None) == ("running", True)
    run.stop("enough")
    await run.ended()

    assert (run.state, run.why, gate.most, gate.under_way) == ("stopped", "enough", 2, 0)
    assert [failure.query for failure in run.failed] == ["broken"]
    assert len(run.differences) == 2
    run.stop("again")
    assert run.why == "enough"
    faulty = new_run(gate, "fault", "more")
    runs.begin(faulty)
    gate.goes_on.release()
    await faulty.ended()
    assert (faulty.state, "its log has the traceback" in faulty.why) == ("stopped", True)
    assert "RuntimeError" in caplog.text


async def test_so_many_lists_run_at_once_and_so_many_are_kept_each_for_its_owner() -> None:
    gate, runs = Gate(), ListRuns()
    under_way = [new_run(gate, "one") for _ in range(MAX_RUNNING)]
    for run in under_way:
        runs.begin(run)
    with pytest.raises(ApiRefusal, match="stop one of them"):
        runs.begin(new_run(gate, "one"))
    under_way[1].stop("room")
    for _ in range(MAX_KEPT):
        ended = new_run(gate)
        runs.begin(ended)
        await ended.ended()

    assert runs.get(under_way[0].run_id, None) is under_way[0]
    assert len(runs.of(None)) == MAX_KEPT
    assert under_way[1] not in runs.of(None)
    somebody: Any = object()
    with pytest.raises(ApiRefusal, match="compare it anew"):
        runs.get(under_way[0].run_id, somebody)
    assert runs.of(somebody) == []
    await runs.close()
    assert (under_way[0].state, under_way[0].why) == ("stopped", "the gateway ended")
