"""The page's addresses: what a rater opens, and the forms that come back. Each form is answered by the way to the next
page, after what it says is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import ASGIApp

from connector.errors import ConnectorError, SettingsError
from connector.judging.page.desk import Desk
from connector.judging.page.forms import FormFields, read_form
from connector.judging.page.guard import AllowedHosts, Guard
from connector.judging.page.rater import check_name, read_rater, remember
from connector.judging.page.showing import DocumentView
from connector.judging.scale import SCALE

FOLDER = Path(__file__).parent
ASSETS = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "acts.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class JudgingPage:
    """What the addresses share. `rater` is who judges whatever a browser remembers, None where it is asked."""

    desk: Desk
    view: DocumentView
    rater: str | None
    templates: Environment

    def name_of(self, request: Request) -> str | None:
        """Who sent the request, as their browser remembers; None where it does not."""
        return self.rater or read_rater(request)

    def render(self, template: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
        """A page."""
        page = self.templates.get_template(template).render(
            scale=SCALE, folder=str(self.desk.folder.path), is_asked=self.rater is None, **values
        )
        return HTMLResponse(page, status_code=status)

    def judge(self, rater: str) -> HTMLResponse:
        """The pair that the rater is at, or what there is left to do."""
        task = self.desk.hand_out(rater)
        progress, last = self.desk.progress(rater), self.desk.last(rater)
        if task is None:
            return self.render("finished.html.jinja", rater=rater, progress=progress, last=last)
        document = self.view.show(task.query, task.pair.fields)
        return self.render("judge.html.jinja", rater=rater, progress=progress, last=last, task=task, document=document)

    def disagreements(self, rater: str) -> HTMLResponse:
        """What people disagree about, with forms to settle it."""
        disputes = []
        for disagreement in self.desk.disagreements():
            query = self.desk.query(disagreement.query_id)
            fields = self.desk.pairs[disagreement.query_id, disagreement.doc_id].fields
            disputes.append((disagreement, query, self.view.show(query, fields)))
        return self.render("disagreements.html.jinja", rater=rater, disputes=disputes)

    def ask_name(self, problem: str = "", status: int = HTTPStatus.OK) -> HTMLResponse:
        """Who judges?"""
        return self.render("name.html.jinja", status, raters=self.desk.raters(), problem=problem)


def create_app(desk: Desk, view: DocumentView, hosts: AllowedHosts, *, rater: str | None = None) -> ASGIApp:
    """The application, behind its guard."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = JudgingPage(desk, view, rater, templates)
    for file, media_type in ASSETS.items():
        content = (FOLDER / "assets" / file).read_bytes()
        app.add_api_route(f"/{file}", partial(_asset, content, media_type), methods=["GET"])
    for path, show in (("/", page.judge), ("/disagreements", page.disagreements)):
        app.add_api_route(path, _shown(page, show), methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/name", _name_page(page), methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/name", _take_name(page), methods=["POST"])
    for path, act, then in (
        ("/grade", _grade, "/"),
        ("/undo", _undo, "/"),
        ("/again", _look_again, "/"),
        ("/settle", _settle, "/disagreements"),
    ):
        app.add_api_route(path, _done(page, act, then), methods=["POST"])
    app.add_exception_handler(ConnectorError, partial(_problem, page))
    return Guard(app, hosts)


def _asset(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type)


def _shown(page: JudgingPage, show: Callable[[str], HTMLResponse]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        rater = page.name_of(request)
        return await asyncio.to_thread(show, rater) if rater else RedirectResponse("/name", 303)

    return answer


def _name_page(page: JudgingPage) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return await asyncio.to_thread(page.ask_name)

    return answer


def _take_name(page: JudgingPage) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            name = check_name((await read_form(request)).get("name", ""))
        except SettingsError as error:
            return await asyncio.to_thread(page.ask_name, str(error), 400)
        reply = RedirectResponse("/", 303)
        remember(reply, name)
        return reply

    return answer


def _done(
    page: JudgingPage, act: Callable[[Desk, str, FormFields], None], then: str
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        rater, form = page.name_of(request), await read_form(request)
        if not rater:
            return RedirectResponse("/name", 303)
        await asyncio.to_thread(act, page.desk, rater, form)
        return RedirectResponse(then, 303)

    return answer


async def _problem(page: JudgingPage, request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, SettingsError) else 500
    return page.render("problem.html.jinja", status, problem=str(error))


def _grade(desk: Desk, rater: str, form: FormFields) -> None:
    grade = None if "skip" in form else _number(form)
    desk.grade(rater, _key(form), grade, _note(form))


def _undo(desk: Desk, rater: str, form: FormFields) -> None:
    desk.undo(rater)


def _look_again(desk: Desk, rater: str, form: FormFields) -> None:
    desk.look_again(rater)


def _settle(desk: Desk, rater: str, form: FormFields) -> None:
    desk.settle(rater, _key(form), None if "reopen" in form else _number(form), _note(form))


def _key(form: FormFields) -> tuple[str, str]:
    return form.get("query_id", ""), form.get("doc_id", "")


def _number(form: FormFields) -> int:
    grade = form.get("grade", "")
    if grade not in {str(step.grade) for step in SCALE}:
        raise SettingsError("no grade was given; give 0, 1, 2 or 3")
    return int(grade)


def _note(form: FormFields) -> str:
    return form.get("note", "").replace("\r\n", "\n").strip()
