"""The page at /ui over HTTP: who grades, and what documents are called that are far below the hits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from support.gateway.gateway_api import api_settings, fill, fill_with, running_api

from connector.errors import ClusterError
from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade

WORDS_ONLY = {"legs": {"lexical": {}, "dense": "off"}, "rerank": "off"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> JudgingFolder:
    return JudgingFolder(tmp_path_factory.mktemp("grades") / "judged")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, folder: JudgingFolder) -> Iterator[httpx.Client]:
    store = tmp_path_factory.mktemp("store")
    fill(store)
    with running_api(api_settings(f"embedded:{store}", gateway={"grades": str(folder.path)})) as api:
        api.headers["origin"] = str(api.base_url).rstrip("/")
        yield api


def named(page: httpx.Client, name: str) -> dict[str, str]:
    """The headers of a browser whose owner has said their name."""
    reply = page.post("/ui/name?q=red", data={"name": name})
    assert reply.status_code == 303, reply.text
    assert reply.headers["location"] == "./?q=red"
    page.cookies.clear()
    return {"cookie": reply.headers["set-cookie"].partition(";")[0]}


def test_grades_are_those_of_who_gave_them_and_resolved_as_judging_resolves_them(
    page: httpx.Client, folder: JudgingFolder
) -> None:
    anna, ben = named(page, " anna  b "), named(page, "Ben")
    for headers, grade in ((anna, "3"), (anna, "3"), (ben, "1")):
        reply = page.post("/ui/grade?q=red+fish", data={"doc_id": "a", "grade": grade, "rank": "1"}, headers=headers)
        assert (reply.status_code, reply.headers["location"]) == (303, "./?q=red+fish#hit-1")
    pressed = {
        name: re.findall(r'value="(\d)"[^>]*aria-pressed="true"', page.get("/ui/?q=red fish", headers=headers).text)
        for name, headers in (("anna", anna), ("ben", ben))
    }
    (query,) = folder.queries()

    assert [(given.by, given.grade) for given in folder.grades().history()] == [("anna b", 3), ("Ben", 1)]
    assert pressed == {"anna": ["3"], "ben": ["1"]}
    assert folder.qrels_file.read_text().splitlines()[1:] == [f"{query.query_id}\ta\t1"]  # the lower of two
    folder.grades().append(Grade(query.query_id, "a", 2, "settled"))
    assert page.post("/ui/grade?q=red+fish", data={"doc_id": "b", "grade": "0"}, headers=ben).status_code == 303
    assert page.post("/ui/grade?q=red+fish", data={"doc_id": "b", "grade": "4"}, headers=ben).status_code == 400
    assert f"{query.query_id}\ta\t2" in folder.qrels_file.read_text()  # what ended the disagreement counts


def test_without_a_name_nothing_is_graded_and_the_way_to_say_it_leads_back(page: httpx.Client) -> None:
    before = page.get("/ui/name").text.count('<button class="plain"')
    reply = page.get("/ui/?q=red&f=number%3E%3D0")
    refused = page.post("/ui/grade?q=red", data={"doc_id": "a", "grade": "3"})
    wrong = page.post("/ui/name?q=red", data={"name": "settled"})

    assert 'href="name?q=red&amp;f=number%3E%3D0">Say who you are, to grade' in reply.text
    assert 'class="grades"' not in reply.text
    assert (refused.status_code, wrong.status_code) == (400, 400)
    assert "say above who you are" in refused.text
    assert "take another name" in wrong.text
    assert page.get("/ui/name").text.count('<button class="plain"') == before
    assert page.get("/ui/?q=red", headers={"cookie": f"connector-rater={quote('a' * 41)}"}).text.count("You are") == 0
    assert page.post("/ui/name", data={"name": "x"}, headers={"origin": "http://evil.example"}).status_code == 403


def test_what_the_address_says_is_searched_and_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a worker that is away, so that reranking is noted where it is asked for; and a window below KNOWN."""
    fill(tmp_path)
    monkeypatch.setattr("connector.gateway.ui.search_page.ROWS", 1)
    search = {"k": 2, "rerank": [{"window": 3}]}
    with running_api(api_settings(f"embedded:{tmp_path}", worker="http://127.0.0.1:9", search=search)) as api:
        as_set = api.get("/ui/", params={"q": "red <i>fish</i>"})
        without = api.get("/ui/", params={"q": "red", "a": "no rerank", "f": "number>=3"})
        same = api.get("/ui/", params={"q": "red", "b": "as set"})

        async def broken(*given: object) -> dict[str, str]:
            raise ClusterError("no titles", status=500)

        monkeypatch.setattr("connector.gateway.ui.searching.Pipelines.titles", broken)
        untitled = api.get("/ui/", params={"q": "red fish"})

    assert (as_set.status_code, without.status_code, same.status_code) == (200, 200, 400)
    assert "local: " in notes_of(as_set.text)
    assert "<i>" not in as_set.text
    assert notes_of(without.text) == ""
    assert set(re.findall(r'<li data-doc="(\w)"', without.text)) == {"d"}
    assert "is compared with itself" in same.text
    assert "titles: no titles" in notes_of(untitled.text)


def notes_of(text: str) -> str:
    """What the page says was not done as asked."""
    return text.partition('aria-label="Not done as asked">')[2].partition("</ul>")[0]


def test_documents_far_below_the_hits_have_their_titles_and_lines_too(tmp_path: Path) -> None:
    """Fifty documents are the query word by word; ten say it often, among other words, so that only words like them."""
    rows = [(f"d{at}", {"title": f"Exact {at}", "text": "red fish"}) for at in range(50)]
    rows += [(f"e{at}", {"title": f"Often {at}", "text": "red fish " * 6 + f"w{at} x{at} y{at}"}) for at in range(10)]
    fill_with(tmp_path, rows, text={"text": 1.0}, metadata={"title": "keyword"})
    search = {"legs": {"dense": {}, "lexical": "off"}, "rerank": "off"}
    pipelines = {"words": WORDS_ONLY}
    settings = api_settings(f"embedded:{tmp_path}", search=search, gateway={"pipelines": pipelines})
    with running_api(settings) as api:
        text = api.get("/ui/", params={"q": "red fish", "b": "words"}).text
    chart = text.partition('id="compared"')[2].partition("</section>")[0]
    left, _, right = chart.partition("<svg")

    assert re.findall(r'class="name"[^>]*>(\w+) \d', left) == ["Often"] * 10
    assert set(re.findall(r'class="place gone">(\d+)<', left)) <= {str(rank) for rank in range(41, 61)}
    assert len(re.findall(r'class="down" data-doc="e\d"', right)) == 10
