"""The page on which people judge, in a real browser: by keys, by Tab alone, without a script, on a phone, by two people
at once while its server is killed."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from fastapi.responses import HTMLResponse
from loopback_ports import free_port
from support.evaluation.judging import Judge, hidden, make_folder, make_plain_folder
from support.parts import serving, wait_until
from support.programs.command import Launcher, Running
from support.runs.missing import skip_or_fail
from support.servers.axe import AxeMissing, axe_source, find_violations
from support.servers.browser import Browser, Page

from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade, GradeLog
from connector.judging.page.app import create_app
from connector.judging.page.assignment import Sharing
from connector.judging.page.desk import Desk
from connector.judging.page.guard import allowed_hosts
from connector.judging.page.showing import make_view

ATTACK = "<script>document.title='broken into'</script><img src=x onerror=\"document.title='broken into'\">"
LONG = "Other things are told at some length here. " * 60
QUERIES = {
    "long": "how long is a registered deal kept",
    "rtl": "كم تستغرق الشحنة إلى الرياض",
    "cjk": "電池の交換方法",
    "attack": f"warranty {ATTACK}",
}
PAIRS: list[tuple[str, str, dict[str, object]]] = [
    ("long", "d1", {"title": "Deals", "text": f"{LONG}A registered deal is kept for 90 days. {LONG}"}),
    ("rtl", "d2", {"title": "الشحن الدولي", "text": "تستغرق الشحنة إلى الرياض من ثلاثة إلى خمسة أيام عمل."}),
    ("cjk", "d3", {"title": "バッテリー", "text": "電池の交換方法：裏蓋を外し、電池を取り出します。"}),
    ("attack", "d4", {"title": ATTACK, "text": f"{ATTACK} {'x' * 300}", "brand": "Acme", "price": 12.5}),
]
TALL = "[...document.querySelectorAll('button, summary, input:not([type=hidden]), a:not(.skip, main p a, main li a)')]"
# what is beyond the window, and what is too small for a thumb (WCAG 2.5.5)
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(each => each.checkVisibility() && !each.matches('.skip'))
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"""
TOO_SMALL = f"""{TALL}.filter(each => each.checkVisibility()).filter(each => each.getBoundingClientRect().height < 44)
    .map(each => each.outerHTML.slice(0, 80))"""
FOCUSED = """(() => { const each = document.activeElement, style = getComputedStyle(each);
    return [each.textContent.trim().replace(/\\s+/g, ' ').slice(0, 12), style.outlineStyle, each.tagName]; })()"""
SHOWN_PAIR = "document.querySelector('[name=doc_id]')?.value ?? null"


pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "judged", QUERIES, PAIRS)


def page_of(folder: Path, *, overlap: float = 0.0) -> object:
    desk = Desk(JudgingFolder(folder), Sharing(overlap, seed=0))
    return create_app(desk, make_view(desk.pairs.values(), ()), allowed_hosts("127.0.0.1"))


def kept(folder: Path) -> tuple[Grade, ...]:
    return GradeLog(folder / "grades.jsonl").read()


async def sign_in(tab: Page, url: str, name: str) -> None:
    await tab.open(url)
    await tab.evaluate("document.querySelector('#name').focus()")
    await tab.type(name)
    await tab.press_and_load("Enter")


async def for_each_look(tab: Page, url: str, check: Callable[[str], Awaitable[None]]) -> None:
    """Light and dark, on a desk and on a phone."""
    await tab.open(url)
    for theme in ("light", "dark"):
        for width in (1100, 360):
            await tab.look(theme=theme, width=width)
            await check(f"{theme}-{width}")


async def test_every_page_is_whole_light_and_dark_wide_and_narrow_and_axe_finds_nothing(
    tab: Page, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path, {name: QUERIES[name] for name in ("long", "attack")}, [PAIRS[0], PAIRS[3]])
    try:
        axe_source()
    except AxeMissing as error:
        skip_or_fail(str(error))
    seen: dict[str, set[str]] = {}

    async def check(look: str, called: str) -> None:
        """axe twice for each page, since it takes half a second: in both themes and both widths."""
        assert await tab.evaluate(TOO_WIDE) == [], look
        assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
        assert await tab.evaluate(TOO_SMALL) == [], look
        if look in ("light-1100", "dark-360", "opened"):
            assert await find_violations(tab) == [], look
        seen.setdefault(called, set()).add(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        if keep := os.environ.get("TEST_SCREENSHOTS"):
            await tab.photograph(Path(keep) / f"{called}-{look}.png")

    with serving(page_of(folder, overlap=1.0)) as url:
        await for_each_look(tab, url, lambda look: check(look, "name"))
        await sign_in(tab, url, "anna")
        for at in range(2):
            await for_each_look(tab, url, lambda look, at=at: check(look, f"pair{at}"))
            await tab.press("?")
            await tab.press("a")
            await tab.press("n")
            await check("opened", f"opened{at}")
            await tab.press("Escape")
            await tab.press_and_load("3")
        await for_each_look(tab, url, lambda look: check(look, "nothing-left"))
        async with AsyncExitStack() as stack:
            ben = Judge("ben", base_url=url)
            await stack.enter_async_context(ben.client)
            for _ in range(2):
                await ben.grade(await ben.look(), grade="1", note=ATTACK)
        await for_each_look(tab, url, lambda look: check(look, "finished"))
        await for_each_look(tab, f"{url}/disagreements", lambda look: check(look, "disagreements"))

    assert all(len(backgrounds) == 2 for called, backgrounds in seen.items() if not called.startswith("opened"))
    assert {re.sub(r":\d+/.*", "", asked) for asked in tab.asked if not asked.startswith("about:")} == {
        "http://127.0.0.1"
    }
    assert tab.messages == []


async def test_keys_alone_judge_skip_note_undo_and_help(tab: Page, folder: Path) -> None:
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        first = await tab.evaluate(SHOWN_PAIR)
        await tab.press("n")
        for key in "us 3 so 2?":  # which grade nothing while it is written
            await tab.press(key)
        await tab.press("Escape")
        await tab.press_and_load("2")
        assert [(grade.doc_id, grade.grade, grade.note) for grade in kept(folder)] == [(first, 2, "us 3 so 2?")]

        await tab.press_and_load("s")
        await tab.press_and_load("u")
        await tab.press_and_load("u")
        assert await tab.evaluate(SHOWN_PAIR) == first
        assert await tab.evaluate("document.querySelector('#note').value") == "us 3 so 2?"
        assert kept(folder) == ()

        is_open = "document.querySelector('details.help').open"
        await tab.press("?")
        assert await tab.evaluate(is_open)
        await tab.press("?")
        assert not await tab.evaluate(is_open)
        for key in "0123":
            await tab.press_and_load(key)

    assert [grade.grade for grade in kept(folder)] == [0, 1, 2, 3]
    assert tab.messages == []


async def test_a_long_passage_shows_its_best_part_and_all_of_it_by_a_key(tab: Page, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"long": QUERIES["long"]}, PAIRS[:1])
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        text = "document.querySelector('article').innerText"
        part = await tab.evaluate(text)
        await tab.press("a")
        whole = await tab.evaluate(text)
        await tab.press("a")

        assert "A registered deal is kept for 90 days." in part
        assert len(part) < 1000 < 5000 < len(whole) < 6000
        assert await tab.evaluate(text) == part
        marks = await tab.evaluate("[...document.querySelectorAll('.part mark')].map(each => each.innerText)")
        assert {"registered", "deal", "kept"} <= set(marks)


async def test_texts_run_in_their_own_direction_and_markup_is_text(tab: Page, folder: Path) -> None:
    directions, titles = {}, {}
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        for _ in PAIRS:
            pair = await tab.evaluate(SHOWN_PAIR)
            directions[pair] = await tab.evaluate("getComputedStyle(document.querySelector('.text')).direction")
            titles[pair] = await tab.evaluate("document.querySelector('.heading').innerText")
            assert "broken into" not in (await tab.evaluate("document.title")).replace(ATTACK, "")
            assert await tab.evaluate("document.querySelectorAll('img, article script, h1 script').length") == 0
            await tab.press_and_load("1")

    assert directions == {"d1": "ltr", "d2": "rtl", "d3": "ltr", "d4": "ltr"}
    assert titles["d4"] == ATTACK
    assert tab.messages == []


async def test_tab_and_enter_alone_reach_everything_in_order_with_a_focus_that_is_seen(tab: Page, folder: Path) -> None:
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        await tab.press_and_load("0")
        reached = []
        for _ in range(12):
            await tab.press("Tab")
            name, outline, tag = await tab.evaluate(FOCUSED)
            if tag == "BODY":
                break
            assert outline != "none", name
            reached.append(name)
        wanted = ["To the", "You are anna", "0 Irr", "1 Rel", "2 High", "3 Perf", "Note", "Skip", "Undo the 0", "Help"]
        places = [next(at for at, name in enumerate(reached) if name.startswith(place)) for place in wanted]
        assert places == sorted(places), reached

        await tab.open(url)
        while "3 Perfectly" not in (await tab.evaluate(FOCUSED))[0]:
            await tab.press("Tab")
        await tab.press_and_load("Enter")

    assert [grade.grade for grade in kept(folder)] == [0, 3]


async def test_without_a_script_buttons_do_all(tab: Page, folder: Path) -> None:
    await tab.send("Emulation.setScriptExecutionDisabled", value=True)
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        for grade in ("skip", "1", "2"):
            button = "[name=skip]" if grade == "skip" else f".step[value='{grade}']"
            await tab.click_and_load(button)
        await tab.click_and_load("[data-key=u]")

    assert [kept_grade.grade for kept_grade in kept(folder)] == [None, 1]


async def test_a_page_of_another_site_cannot_send_a_grade(tab: Page, folder: Path) -> None:
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        fields_shown = hidden(await tab.evaluate("document.documentElement.outerHTML"))
        fields = "".join(f"<input name={name} value={value}>" for name, value in {**fields_shown, "grade": "3"}.items())
        other = f"<form method=post action={url}/grade>{fields}<button>Win</button></form>"
        with serving(HTMLResponse(other)) as elsewhere:  # same machine, same cookies, another origin
            for site in (elsewhere, elsewhere.replace("127.0.0.1", "localhost")):
                await tab.open(site)
                await tab.click_and_load("button")
                assert "only from this page itself" in await tab.evaluate("document.body.innerText")

    assert kept(folder) == ()


async def test_a_server_that_is_away_is_said_and_the_pair_stays(tab: Page, folder: Path) -> None:
    with serving(page_of(folder)) as url:
        await sign_in(tab, url, "anna")
        pair = await tab.evaluate(SHOWN_PAIR)
    await tab.press("3")
    await tab.until("!document.querySelector('.alert').hidden")

    assert "was not kept" in await tab.evaluate("document.querySelector('.alert').innerText")
    assert await tab.evaluate(SHOWN_PAIR) == pair
    assert kept(folder) == ()


def start(launcher: Launcher, folder: Path, port: int) -> tuple[Running, str]:
    """The command, and the address that it says."""
    running = launcher.start("judge", "page", str(folder), "--port", str(port), "--overlap", "0.5", cwd=folder)
    found = re.compile(r"http://127\.0\.0\.1:(\d+)/")
    wait_until(lambda: bool(found.search(running.stderr())))
    match = found.search(running.stderr())
    assert match
    return running, match[0].rstrip("/")


async def test_two_browsers_at_once_lose_nothing_when_the_server_is_killed(
    tab: Page, browser: Browser, launcher: Launcher, tmp_path: Path
) -> None:
    folder, port = make_plain_folder(tmp_path / "judged", queries=3, documents=3), free_port()
    running, url = start(launcher, folder, port)
    seen: dict[str, list[str]] = {"anna": [], "ben": []}  # whose next page has shown, so it was acknowledged

    async def judge(tab: Page, name: str, count: int) -> None:
        while len(seen[name]) < count and (pair := await tab.evaluate(SHOWN_PAIR)) is not None:
            await tab.press_and_load(str(len(seen[name]) % 4))
            seen[name].append(pair)

    async with browser.tab() as another:
        tabs = {"anna": tab, "ben": another}
        await asyncio.gather(*(sign_in(tab, url, name) for name, tab in tabs.items()))
        await asyncio.gather(*(judge(tab, name, 2) for name, tab in tabs.items()))
        await asyncio.gather(*(tab.press("1") for tab in tabs.values()), asyncio.to_thread(running.kill))
        running.wait()
        acknowledged = {(name, doc_id) for name, doc_ids in seen.items() for doc_id in doc_ids}
        assert acknowledged <= {(grade.by, grade.doc_id) for grade in kept(folder)}

        running, _ = start(launcher, folder, port)
        await asyncio.gather(*(tab.open(url) for tab in tabs.values()))
        await asyncio.gather(*(judge(tab, name, 99) for name, tab in tabs.items()))
        await tab.open(url)
        assert "All is judged: 9 pairs" in await tab.evaluate("document.body.innerText")
    os.kill(running.pid, 2)
    stderr = running.wait().stderr
    lines = Counter((grade.by, grade.query_id, grade.doc_id) for grade in GradeLog(folder / "grades.jsonl").history())

    assert set(lines.values()) == {1}  # none twice
    assert {doc_id for _, _, doc_id in lines} == {pair.doc_id for pair in JudgingFolder(folder).pairs()}
    assert {(name, doc_id) for name, doc_ids in seen.items() for doc_id in doc_ids} <= {
        (name, doc_id) for name, _, doc_id in lines
    }
    assert "9 of 9 pairs judged (anna" in stderr
    assert f"next: connector eval {folder}" in stderr
    assert (folder / "qrels" / "test.tsv").read_text().count("\n") == 10


async def test_no_acknowledged_grade_is_lost_in_a_storm_of_raters_and_kills(launcher: Launcher, tmp_path: Path) -> None:
    folder, port = make_plain_folder(tmp_path / "judged", queries=10, documents=40), free_port()
    running, url = start(launcher, folder, port)
    acknowledged: dict[tuple[str, str, str], str] = {}
    enough, goal = asyncio.Event(), 0

    async def judge(name: str) -> None:
        """Until the server is gone."""
        rater = Judge(name, base_url=url)
        async with rater.client:
            while True:
                try:
                    page = await rater.look()
                    pair, grade = hidden(page), str(len(acknowledged) % 4)
                    if (await rater.grade(page, grade=grade, note=name * 50)).status_code == 303:
                        acknowledged[name, pair["query_id"], pair["doc_id"]] = grade
                    if len(acknowledged) >= goal:
                        enough.set()
                except httpx.TransportError:
                    return

    for goal in (15, 40, 70):  # noqa: B007 - judge() reads it
        enough.clear()
        raters = [asyncio.create_task(judge(name)) for name in ("anna", "ben", "carl")]
        await enough.wait()
        running.kill()
        await asyncio.gather(*raters)
        running, url = start(launcher, folder, port)
    running.kill()
    running.wait()
    history = GradeLog(folder / "grades.jsonl").history()
    lines = Counter((grade.by, grade.query_id, grade.doc_id) for grade in history)
    grades = {(grade.by, grade.query_id, grade.doc_id): str(grade.grade) for grade in history}

    assert acknowledged.items() <= grades.items()
    assert set(lines.values()) == {1}
    assert len(lines) <= len(acknowledged) + 9  # kept, and killed before it was said: one of each rater and kill
