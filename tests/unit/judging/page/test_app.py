"""The page without a browser: what it shows, what it takes, and from whom."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.evaluation.judging import Judge, hidden, make_folder, make_plain_folder

from connector.judging.folder import JudgingFolder
from connector.judging.grades import GradeLog
from connector.judging.page.app import create_app
from connector.judging.page.assignment import Sharing
from connector.judging.page.desk import Desk
from connector.judging.page.guard import allowed_hosts
from connector.judging.page.showing import make_view
from connector.judging.scale import SCALE

URL = "http://127.0.0.1:8650"
ATTACK = "</p><script>document.title='broken into'</script><img src=x onerror=alert(1)>\"'&amp;"
Serve = Callable[..., AbstractAsyncContextManager[Judge]]


def app(
    folder: Path, *, overlap: float = 0.0, fields: tuple[str, ...] = (), host: str = "127.0.0.1", **named: Any
) -> Any:
    desk = Desk(JudgingFolder(folder), Sharing(overlap, seed=0))
    return create_app(desk, make_view(desk.pairs.values(), fields), allowed_hosts(host, ["judge.example"]), **named)


@asynccontextmanager
async def judging(folder: Path, *names: str, **options: Any) -> AsyncIterator[Any]:
    """A rater of each name, on one page."""
    transport = httpx.ASGITransport(app(folder, **options))
    yield [Judge(name, transport=transport, base_url=URL) for name in names]


def kept(folder: Path) -> list[tuple[str, str, int | None, str]]:
    return [(grade.by, grade.doc_id, grade.grade, grade.note) for grade in GradeLog(folder / "grades.jsonl").read()]


async def test_a_rater_judges_to_the_end_without_a_script(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=4)
    async with judging(tmp_path, "Zoë") as (judge,):
        page = await judge.look()
        first = hidden(page)["doc_id"]
        reply = await judge.grade(page, grade="3", note=" exact\r\nyes ")
        assert (reply.status_code, reply.headers["location"]) == (303, "/")
        assert kept(tmp_path) == [("Zoë", first, 3, "exact\nyes")]

        await judge.grade(await judge.look(), skip="yes", note="")
        await judge.post("/undo")
        await judge.post("/undo")
        page = await judge.look()
        assert hidden(page)["doc_id"] == first
        assert ">exact\nyes</textarea>" in page
        for grade in ("2", "1", "0"):
            page = await judge.look()
            await judge.grade(page, grade=grade)
        await judge.grade(await judge.look(), skip="yes")
        page = await judge.look()
        assert "Nothing is left for you" in page
        assert "You skipped 1 pair." in page

        await judge.post("/again")
        await judge.grade(await judge.look(), grade="3")
        page = await judge.look()

    assert "All is judged: 4 pairs" in page
    assert f"connector eval {tmp_path}" in page
    assert sorted(grade or 0 for _, _, grade, _ in kept(tmp_path)) == [0, 1, 2, 3]


async def test_what_each_grade_means_is_on_the_page(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        page = await judge.look()

    for step in SCALE:
        assert f'value="{step.grade}"' in page
        assert step.name in page
        assert page.count(step.meaning) == 2  # at its button, and in the help that a phone shows


async def test_nothing_on_the_page_tells_a_rank_or_a_pipeline(tmp_path: Path) -> None:
    for name in ("best-first", "best-last"):
        folder = make_plain_folder(tmp_path / name / "folder", queries=2, documents=5)
        pool = folder / "pool.jsonl"
        rows = [json.loads(line) for line in pool.read_text().splitlines()]
        if name == "best-last":
            rows = [row | {"order": len(rows) - 1 - row["order"]} for row in rows]
            pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "runs").mkdir()
        (folder / "runs" / "reranked-secretly.run").write_text(
            "".join(f"{row['query_id']} Q0 {row['doc_id']} {row['order'] + 1} {-row['order']} x\n" for row in rows)
        )
    pages = []
    for name in ("best-first", "best-last"):
        looks = []
        async with judging(tmp_path / name / "folder", "anna") as (judge,):
            for _ in range(10):
                looks.append(await judge.look())
                await judge.grade(looks[-1], grade="1")
        pages.append(looks)

    assert pages[0] == pages[1]
    assert not any("reranked" in page or "order" in page for page in pages[0])


async def test_who_judges_is_asked_once_and_remembered(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=2)
    transport = httpx.ASGITransport(app(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers={"origin": URL}) as client:
        asked = await client.get("/", follow_redirects=True)
        assert asked.url.path == "/name"
        assert "Who judges?" in asked.text
        for wrong in ("", "   ", "x" * 41, "Settled", "a\u202eb\x00"):
            refused = await client.post("/name", data={"name": wrong})
            if wrong.startswith("a"):
                continue  # what cannot be seen is left out of it
            assert refused.status_code == 400, wrong
            assert 'role="alert"' in refused.text
            client.cookies.clear()
        reply = await client.post("/name", data={"name": " Jörg  Müller; x=1 "})
        assert reply.status_code == 303
        assert "HttpOnly" in reply.headers["set-cookie"]
        assert "SameSite=lax" in reply.headers["set-cookie"]
        page = (await client.get("/")).text
        await client.post("/grade", data={**hidden(page), "grade": "1"})

        assert [by for by, *_ in kept(tmp_path)] == ["Jörg Müller; x=1"]
        assert 'Jörg Müller; x=1</span>\n<span class="dim">1 graded' in (await client.get("/name")).text


async def test_a_rater_who_is_named_at_the_start_is_not_asked(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    transport = httpx.ASGITransport(app(tmp_path, rater="anna"))
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers={"origin": URL}) as client:
        client.cookies.set("connector-rater", "ben", domain="127.0.0.1")  # from another time
        page = (await client.get("/")).text
        assert "/name" not in page
        await client.post("/grade", data={**hidden(page), "grade": "2"})

    assert [by for by, *_ in kept(tmp_path)] == ["anna"]


async def test_markup_in_documents_queries_names_and_notes_is_text(tmp_path: Path) -> None:
    make_folder(
        tmp_path, {"q<1>": ATTACK}, [("q<1>", "d'\"<1>", {"title": ATTACK, "text": ATTACK * 90, ATTACK: ATTACK})]
    )
    async with judging(tmp_path, "<b>anna", "<i>ben", overlap=1.0) as judges:
        pages = []
        for judge, grade in zip(judges, ("0", "3"), strict=True):
            pages.append(await judge.look())
            await judge.grade(pages[-1], grade=grade, note=ATTACK)
        pages += [await judges[0].look("/disagreements"), await judges[0].look("/name")]
        settled = await judges[0].post("/settle", **hidden(pages[2]), grade="1")

    assert settled.status_code == 303
    assert [row[1] for row in kept(tmp_path)] == ["d'\"<1>"] * 3
    for page in pages:
        assert not re.search(
            r"<(?!script src=\"/page.js\" type)script|<img|onerror=(?!alert\(1\)&gt;)|<b>anna|<i>ben", page
        )
        assert "amp;amp;" in page or page is pages[-1]  # escaped once, also what looks escaped


async def test_a_form_from_elsewhere_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        page = await judge.look()
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8650", ""):
            judge.client.headers["origin"] = origin
            assert (await judge.grade(page, grade="0")).status_code == 403, origin
        del judge.client.headers["origin"]
        for path in ("/grade", "/undo", "/again", "/settle", "/name"):
            assert (await judge.post(path, **hidden(page), grade="0", name="x")).status_code == 403

    assert kept(tmp_path) == []


async def test_a_name_that_somebody_led_here_shows_and_takes_nothing(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        page = await judge.look()
        for host in ("evil.example", "evil.example:8650", "127.0.0.1.evil.example", "", "[", "192.168.1.7:8650"):
            for path in ("/", "/name", "/disagreements", "/page.js"):
                reply = await judge.client.get(path, headers={"host": host})
                assert reply.status_code == 403, (host, path)
                assert "Text 0" not in reply.text
            headers = {"host": host, "origin": f"http://{host}"}
            assert (await judge.client.post("/grade", data={**hidden(page), "grade": "0"}, headers=headers)).is_error
        for host in ("localhost", "localhost:8650", "LOCALHOST:1", "127.0.0.1:8650", "[::1]:8650", "judge.example"):
            headers = {"host": host, "origin": f"http://{host.lower()}"}
            assert (await judge.client.get("/name", headers={"host": host})).status_code == 200, host
            assert (await judge.client.post("/undo", headers=headers)).status_code == 303, host

    assert kept(tmp_path) == []


async def test_beyond_this_machine_addresses_are_known_but_foreign_names_are_not(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna", host="0.0.0.0") as (judge,):
        replies = {
            host: (await judge.client.get("/name", headers={"host": host})).status_code
            for host in ("192.168.1.7:8650", "[fe80::1]:8650", "judge.example", "evil.example")
        }

    assert list(replies.values()) == [200, 200, 200, 403]


async def test_every_reply_forbids_what_the_page_does_not_need(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        paths = ("/", "/name", "/disagreements", "/page.css", "/page.js", "/acts.js", "/icon.svg", "/nothing")
        replies = [await judge.client.get(path) for path in paths]
        replies.append(await judge.client.get("/", headers={"host": "evil.example"}))

    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
        assert "unsafe" not in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", reply.text)
        assert not re.search(r"\sstyle=|\son\w+=", reply.text)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"grade": "4"}, "give 0, 1, 2 or 3"),
        ({"grade": "1.0"}, "give 0, 1, 2 or 3"),
        ({}, "give 0, 1, 2 or 3"),
        ({"doc_id": "gone", "grade": "1"}, "not in the pool"),
        ({"grade": "1", "note": "x" * 100_001}, "note is too long"),
    ],
)
async def test_a_form_that_says_nothing_that_can_be_kept_is_answered_with_the_reason(
    tmp_path: Path, form: dict[str, str], reason: str
) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        reply = await judge.post("/grade", **{"query_id": "q0", "doc_id": "q0d0", **form})

    assert reply.status_code == 400
    assert "This was not kept" in reply.text
    assert reason in reply.text
    assert kept(tmp_path) == []


async def test_a_grade_that_cannot_be_written_is_said_and_can_be_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna") as (judge,):
        page = await judge.look()
        with monkeypatch.context() as full:
            full.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            reply = await judge.grade(page, grade="2")
        assert reply.status_code == 500
        assert "No space left on device" in reply.text
        assert kept(tmp_path) == []

        assert hidden(await judge.look()) == hidden(page)
        await judge.grade(page, grade="2")

    assert [grade for _, _, grade, _ in kept(tmp_path)] == [2]


async def test_disagreements_show_who_said_what_and_are_settled(tmp_path: Path) -> None:
    make_plain_folder(tmp_path, queries=1, documents=1)
    async with judging(tmp_path, "anna", "ben", overlap=1.0) as (anna, ben):
        await anna.grade(await anna.look(), grade="3")
        await ben.grade(await ben.look(), grade="0", note="another model")
        assert "People disagree about 1 pair." in await anna.look()
        page = await anna.look("/disagreements")
        assert re.search(
            r"3</b> <span dir=\"auto\">anna.*0</b> <span dir=\"auto\">ben</span>: .*another model", page, re.S
        )
        await anna.post("/settle", **hidden(page), grade="2")
        assert "Settled" in await ben.look("/disagreements")
        assert "People disagree" not in await ben.look()

        await ben.post("/settle", **hidden(page), reopen="yes")
        assert "People disagree" in await ben.look()

    assert sorted(by for by, *_ in kept(tmp_path)) == ["anna", "ben"]
