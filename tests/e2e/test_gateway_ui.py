"""The page at /ui in a real browser, over the embedded store with documents of the example corpus and a real worker."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from support.gateway.gateway_api import api_settings, fill_with, running_api
from support.parts import OverlapScorer, serving
from support.repository.pages import ROOT
from support.runs.missing import skip_or_fail
from support.servers.axe import AxeMissing, axe_source, find_violations
from support.servers.browser import Page
from support.worker.worker_app import wait_ready

from connector.gateway.ui.grading import Grading
from connector.judging.folder import JudgingFolder
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

QUERY = "who may open access to production data"
FEW_QUERIES = 1_000  # passages of them, which are rated in the time that a list of hundreds takes
ATTACK = "<script>document.title='broken into'</script>"
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(each => each.checkVisibility())
    .filter(each => !each.closest('.skip, .unseen, .name, .scroll > *'))
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"""
TOO_SMALL = """[...document.querySelectorAll('button, summary, select, input:not([type=hidden]), a.chip')]
    .filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 43.5)
    .map(each => each.outerHTML.slice(0, 80))"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("store")
    lines = (ROOT / "examples" / "corpus" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:60]
    rows: list[tuple[str, dict[str, Any]]] = []
    for row in map(json.loads, lines):
        values = {name: row[name] for name in ("title", "text", "department", "region", "kind") if name in row}
        rows.append((row["_id"], values | {"text": row["text"][:1_000]}))
    rows.append(("attack", {"title": f"Access {ATTACK}", "text": f"Open access to production data {ATTACK}"}))
    metadata = dict.fromkeys(("department", "region", "kind"), "keyword")
    fill_with(folder, rows, text={"title": 2.0, "text": 1.0}, metadata=metadata)
    return f"embedded:{folder}"


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> JudgingFolder:
    return JudgingFolder(tmp_path_factory.mktemp("judged") / "grades")


class Gate:
    """Lets the worker rate everything, or nothing any more, or so many passages and no more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left = sys.maxsize

    def let(self, passages: int) -> None:
        with self._changed:
            self._left = passages
            self._changed.notify_all()

    def open(self) -> None:
        self.let(sys.maxsize)

    def __call__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0)
            self._left -= 1


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def page(store: str, grades: JudgingFolder, gate: Gate) -> Iterator[str]:
    pipelines = {"words only": {"legs": {"lexical": {}}, "rerank": "off"}}
    gateway = {"grades": str(grades.path), "pipelines": pipelines}
    with serving(create_app(lambda: OverlapScorer(gate), WorkerSettings())) as worker:
        wait_ready(worker)
        with running_api(api_settings(store, worker=worker, gateway=gateway)) as api:
            yield f"{api.base_url}/ui/".replace("//ui", "/ui")


def address(page: str, **given: str) -> str:
    return f"{page}?{urlencode({'q': QUERY, **given})}"


async def texts(tab: Page, selector: str) -> list[str]:
    found: list[str] = await tab.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map(each => each.innerText.trim())"
    )
    return found


async def check_looks(tab: Page, name: str, url: str, *, press: str = "") -> set[str]:
    """The page as it is in light and dark, wide and narrow: whole, large enough to press, nothing for axe to find; its
    backgrounds."""
    try:
        axe_source()
    except AxeMissing as error:
        skip_or_fail(str(error))
    backgrounds = set()
    await tab.open(url)
    if press:
        await tab.press(press)
    for theme, width in (("light", 1100), ("dark", 360)):
        await tab.look(theme=theme, width=width)
        if keep := os.environ.get("TEST_SCREENSHOTS"):
            await tab.photograph(Path(keep) / f"{name}-{theme}-{width}.png")
        assert await tab.evaluate(TOO_WIDE) == [], (name, width)
        assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
        assert await tab.evaluate(TOO_SMALL) == [], (name, width)
        assert await find_violations(tab) == [], (name, theme)
        backgrounds.add(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    return backgrounds


async def test_every_look_is_whole_and_axe_finds_nothing(tab: Page, page: str) -> None:
    backgrounds = set()
    for name, url in {
        "empty": page,
        "found": address(page, f="region=latam", b="words only"),  # few documents: axe takes a second for ten
        "problem": address(page, f="colour=red"),
        "who": page + "name",
        "lists": page + "lists",
    }.items():
        backgrounds |= await check_looks(tab, name, url, press="e" if name == "found" else "")

    assert len(backgrounds) == 2
    assert all(asked.startswith((page, "about:")) for asked in tab.asked), tab.asked
    assert [
        message for message in tab.messages if "400" not in message
    ] == []  # the browser tells of the problem's status


async def test_rankings_stand_side_by_side_with_the_way_of_each_document(tab: Page, page: str) -> None:
    await tab.open(page)
    await tab.until("document.activeElement.id === 'q'")
    await tab.type(QUERY)
    await tab.press_and_load("Enter")
    heads = await texts(tab, ".column h3")
    places = await tab.evaluate(
        "[...document.querySelectorAll('.column')]"
        ".map(each => [...each.querySelectorAll('li')].map(item => item.dataset.doc))"
    )
    lines = await tab.evaluate(
        "[...document.querySelectorAll('svg.gap')].map(gap => [...gap.querySelectorAll('path')].map(path => "
        "[path.dataset.doc, path.getAttribute('class')]))"
    )

    assert await texts(tab, ".notes li") == []
    assert [head.split()[0] for head in heads] == ["lexical", "dense", "fused", "local"]
    assert len(lines) == 3
    fused, reranked = places[2], places[3]
    ways = {
        doc_id: ["up", "level", "down"][(place > fused.index(doc_id)) - (place < fused.index(doc_id)) + 1]
        for place, doc_id in enumerate(reranked)
        if doc_id in fused
    }
    assert ways
    assert ways.items() <= dict(lines[2]).items()
    assert await tab.evaluate("document.querySelector('.hit').dataset.doc") == reranked[0]
    assert {"access", "production", "data"} & {word.lower() for word in await texts(tab, ".hit mark")}
    assert await texts(tab, ".times th")
    assert await tab.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert await tab.evaluate("document.title.includes('broken into')") is False
    assert tab.messages == []


async def test_the_explanation_adds_up(tab: Page, page: str) -> None:
    await tab.open(address(page))
    rows = await tab.evaluate(
        "[...document.querySelectorAll('.hit')].map(hit => [hit.querySelector('.why tbody').textContent, "
        "[...hit.querySelectorAll('.sum')].map(sum => sum.textContent)])"
    )

    assert len(rows) == 10
    assert all("local" in table and "fused" in table for table, _ in rows)
    assert all(any(text.startswith("fused by rrf") for text in sums) for _, sums in rows)


async def test_a_filter_is_typed_clicked_and_taken_away(tab: Page, page: str) -> None:
    await tab.open(address(page))
    await tab.click_and_load(".facets a.chip")
    narrowed = await texts(tab, ".chip.on")
    field, _, value = narrowed[0].partition("\n")[0].replace("×", "").strip().partition("=")
    await tab.evaluate("document.querySelector('[name=add]').focus()")
    await tab.type("kind:faq")
    await tab.press_and_load("Enter")
    both = await tab.evaluate("[...document.querySelectorAll('[name=f]')].map(each => each.value)")
    await tab.click_and_load(".chip.on")

    assert both == [f"{field}={value.split()[0]}", "kind=faq"]
    assert await tab.evaluate("[...document.querySelectorAll('[name=f]')].map(each => each.value)") == ["kind=faq"]
    assert tab.messages == []


async def test_a_grade_by_key_and_by_click_is_in_the_judging_folder(
    tab: Page, page: str, grades: JudgingFolder
) -> None:
    await tab.open(address(page))
    await tab.press_and_load("3")  # nobody knows who grades, so that is asked
    await tab.evaluate("document.querySelector('#name').focus()")
    await tab.type("  Jörg ")
    await tab.press_and_load("Enter")
    assert await texts(tab, "a.who") == ["You are\nJörg"]
    first, second = (await tab.evaluate("[...document.querySelectorAll('.hit')].map(each => each.dataset.doc)"))[:2]
    await tab.press("j")
    await tab.press("3")
    await tab.until("document.querySelector('#hit-1 [value=\"3\"]').getAttribute('aria-pressed') === 'true'")
    await tab.until("document.activeElement.id === 'hit-2'")
    await tab.press("1")
    await tab.until("document.querySelector('#hit-2 [value=\"1\"]').getAttribute('aria-pressed') === 'true'")
    await tab.send("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(address(page))
    await tab.click_and_load("#hit-1 button[value='2']")

    (query,) = (query for query in grades.queries() if query.text == QUERY)  # others are of other tests
    grades_given = [grade for grade in grades.grades().read() if grade.query_id == query.query_id]
    given = {grade.doc_id: grade.grade for grade in grades_given}
    assert given == {first: 2, second: 1}
    assert {grade.by for grade in grades_given} == {"Jörg"}
    lines = grades.qrels_file.read_text(encoding="utf-8").splitlines()
    assert {f"{query.query_id}\t{doc_id}\t{grade}" for doc_id, grade in given.items()} <= set(lines)
    assert tab.messages == []


async def test_two_pipelines_on_one_query(tab: Page, page: str) -> None:
    await tab.open(address(page, b="words only"))
    chart = "section[aria-labelledby=compared]"

    assert [head.split("\n")[0].rsplit(" ", 2)[0] for head in await texts(tab, f"{chart} h3")] == [
        "words only",
        "as set",
    ]
    assert await tab.evaluate(f"document.querySelectorAll('{chart} path').length") > 0
    assert tab.messages == []


async def test_a_list_is_compared_by_keys_alone_shows_how_far_it_is_and_is_stopped(
    tab: Page, page: str, gate: Gate
) -> None:
    queries = [QUERY, "parental leave", f"travel {ATTACK}", *(f"holiday {at}" for at in range(600))]
    await tab.open(page + "lists")
    await tab.until("document.activeElement.id === 'queries'")
    await tab.type("\n".join(queries))
    gate.let(0)
    try:
        await tab.press("Tab")
        await tab.press("Tab")
        assert await tab.evaluate("document.activeElement.innerText") == "Compare"
        await tab.press_and_load("Enter")
        running = await tab.evaluate("location.href")
        await tab.until("document.querySelector('#progress progress')")
        await check_looks(tab, "running", running)
        while await tab.evaluate("document.activeElement.innerText") != "Stop":
            await tab.press("Tab")
        gate.let(FEW_QUERIES)
        await tab.until("document.querySelector('#progress progress').value > 2")  # looked at without a key
        assert await tab.evaluate("document.activeElement.innerText") == "Stop"
        await tab.press_and_load("Enter")
    finally:
        gate.open()

    assert (await texts(tab, "#progress p"))[0].endswith("stopped: you stopped it")
    done = await tab.evaluate("document.querySelectorAll('.queries tbody tr').length")
    assert 2 < done < len(queries)
    await tab.click_and_load("a[href*='sort=query']")
    assert await tab.evaluate("document.querySelector('[aria-sort]').innerText") == "Query\n↑"
    names = await texts(tab, ".queries tbody th a")
    assert names == sorted(names, key=str.casefold)
    await check_looks(tab, "list", await tab.evaluate("location.href"))
    assert await tab.evaluate("document.title.includes('broken into')") is False
    assert tab.messages == []


async def test_a_list_out_of_the_folder_without_a_script(tab: Page, page: str, grades: JudgingFolder) -> None:
    Grading(grades.path).grade("parental leave", "attack", 2, "ben")
    await tab.send("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(page + "lists")
    await tab.click_and_load("button[name=from]")
    while await tab.evaluate("document.querySelector('#progress').dataset.state") == "running":
        await tab.click_and_load("noscript a")

    count = len(grades.queries())  # others may be of other tests
    have = "has" if count == 1 else "have"
    assert await texts(tab, "#sums ~ p") == [
        f"{count} of the queries {have} judgments; what is not judged counts as irrelevant"
    ], await texts(tab, "main")
    await tab.click_and_load("a[href*='sort=gain']")
    assert "nDCG@10" in await tab.evaluate("document.querySelector('[aria-sort=ascending]').innerText")
    await tab.click_and_load(".queries tbody a")
    assert (await texts(tab, "#compared")) == ["no rerank against as set"]
    assert tab.messages == []


async def test_only_the_page_itself_is_answered_and_what_cannot_be_asked_is_said(page: str) -> None:
    async with httpx.AsyncClient(base_url=page) as caller:
        foreign = await caller.get("", headers={"host": "evil.example"})
        grade, origin = {"doc_id": "a", "grade": "3"}, {"origin": "http://evil.example"}
        elsewhere = await caller.post("grade?q=x", data=grade, headers=origin)
        unknown = await caller.get("", params={"q": "x", "a": "nothing"})

    assert (foreign.status_code, elsewhere.status_code) == (403, 403)
    assert "gateway.api_hosts" in foreign.text
    assert "default-src 'none'" in unknown.headers["content-security-policy"]
    assert unknown.status_code == 400
    assert "there is no pipeline" in unknown.text
