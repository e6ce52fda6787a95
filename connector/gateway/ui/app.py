"""The page's addresses. It is an application of its own, so that its guard is in front of it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import ASGIApp

from connector.credentials import Credentials
from connector.errors import ConnectorError, SettingsError
from connector.extras import needs
from connector.gateway.api.opening import Opening
from connector.gateway.api.problems import ApiRefusal, status_of
from connector.gateway.api.searching import read_credentials
from connector.gateway.ui.asked import PageQuery, read_asked
from connector.gateway.ui.found import FoundAnswer, describe, title_of
from connector.gateway.ui.movement import SideBySide, put_side_by_side
from connector.gateway.ui.searching import Facets, Pipelines, read_facets
from connector.judging import page as judging_page
from connector.judging.page.forms import read_form
from connector.judging.page.guard import Guard, allowed_hosts
from connector.judging.scale import SCALE
from connector.types import SearchResponse

if TYPE_CHECKING:
    from connector.gateway.ui.grading import Grading

HERE = Path(__file__).parent
THERE = Path(judging_page.__file__).parent  # the look of the page on which people judge is that of this one too
ASSETS = {
    "page.css": (THERE, "text/css"),
    "icon.svg": (THERE, "image/svg+xml"),
    "search.css": (HERE, "text/css"),
    "search.js": (HERE, "text/javascript"),
}
ROWS = 10
SOMEBODY = "page"  # who grades where the cluster asks nobody for a name
ADVICE = "Open it by the address of this machine, or name this host in gateway.api_hosts"


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What the addresses share. `grading` is None where no folder takes grades."""

    opening: Opening
    pipelines: Pipelines
    grading: Grading | None
    templates: Environment

    async def show(self, request: Request) -> Response:
        """The search box, and what was found."""
        asked = read_asked(request.query_params)
        if not asked.query:
            return self._render(asked)
        try:
            credentials = read_credentials(request, self.opening.settings)
            response = await self._search(asked, asked.searched, credentials, counts=True)
            found = describe(response, await self.pipelines.metadata(), rows=ROWS)
            compared = await self._compare(asked, response, credentials) if asked.against else None
            grades = await asyncio.to_thread(self._grades, asked.query)
        except ApiRefusal as refusal:  # a browser asks for name and password when it is told so
            return self._render(asked, refusal.status, problem=str(refusal), headers=refusal.headers)
        except ConnectorError as error:
            return self._render(asked, status_of(error), problem=str(error))
        return self._render(asked, found=found, facets=read_facets(response), compared=compared, grades=grades)

    async def grade(self, request: Request) -> Response:
        """Keep a grade, and go back to where it was given."""
        asked = read_asked(request.query_params)
        try:
            form = await read_form(request)
            await asyncio.to_thread(self._keep, asked.query, form)
        except ConnectorError as error:
            return self._render(asked, status_of(error), problem=str(error))
        return RedirectResponse(f"./{asked.address}#hit-{form.get('rank', '')}", 303)

    def _keep(self, query: str, form: Mapping[str, str]) -> None:
        if self.grading is None:
            raise SettingsError("no folder takes grades; name one: connector gateway --grades FOLDER")
        said = form.get("grade", "")
        self.grading.grade(query, form.get("doc_id", ""), int(said) if said in {"0", "1", "2", "3"} else -1, SOMEBODY)

    def _grades(self, query: str) -> Mapping[str, int] | None:
        return self.grading.grades_of(query, SOMEBODY) if self.grading else None

    async def _search(
        self, asked: PageQuery, name: str, credentials: Credentials | None, *, counts: bool = False
    ) -> SearchResponse:
        return await self.pipelines.search(name, asked.query, asked.filters, credentials, counts=counts)

    async def _compare(self, asked: PageQuery, response: SearchResponse, credentials: Credentials | None) -> SideBySide:
        names = (asked.against, asked.searched)
        if asked.against == asked.searched:
            raise SettingsError(f"{asked.against!r} is compared with itself; choose two different pipelines")
        other = await self._search(asked, asked.against, credentials)
        titles = {hit.doc_id: title_of(hit) for hit in (*other.hits, *response.hits)}
        answers = (other, response)
        rankings = {name: _order(answer) for name, answer in zip(names, answers, strict=True)}
        took = {name: answer.took_ms["total"] for name, answer in zip(names, answers, strict=True)}
        return put_side_by_side(rankings, titles, took, rows=ROWS)

    def _render(
        self,
        asked: PageQuery,
        status: int = HTTPStatus.OK,
        *,
        found: FoundAnswer | None = None,
        facets: Facets | None = None,
        compared: SideBySide | None = None,
        grades: Mapping[str, int] | None = None,
        problem: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        values: dict[str, Any] = {
            "asked": asked,
            "found": found,
            "facets": facets or {},
            "compared": compared,
            "grades": grades,
            "problem": problem,
            "pipelines": self.pipelines.names,
            "index": self.opening.settings.index.name,
            "scale": SCALE,
        }
        page = self.templates.get_template("search.html.jinja").render(values)
        return HTMLResponse(page, status_code=status, headers=dict(headers or {}))


def create_ui(opening: Opening) -> ASGIApp:
    """The application, behind its guard. Raises SettingsError where the folder of grades cannot be made."""
    gateway = opening.settings.gateway
    templates = Environment(
        loader=FileSystemLoader([HERE / "templates", THERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = SearchPage(opening, Pipelines(opening), _open_grading(gateway.grades), templates)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for file, (folder, media_type) in ASSETS.items():
        content = (folder / "assets" / file).read_bytes()
        app.add_api_route(f"/{file}", partial(_asset, content, media_type), methods=["GET"])
    app.add_api_route("/", _route(page.show), methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/grade", _route(page.grade), methods=["POST"])
    return Guard(app, allowed_hosts(gateway.host, gateway.api_hosts), advice=ADVICE)


def _open_grading(folder: str | None) -> Grading | None:
    if folder is None:
        return None
    with needs("judge", "a page that takes grades"):
        from connector.gateway.ui.grading import Grading
    return Grading(Path(folder))


def _route(show: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route that takes nothing but the request."""

    async def answer(request: Request) -> Response:
        return await show(request)

    return answer


def _asset(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type)


def _order(response: SearchResponse) -> Any:
    """The ranking that the hits came from."""
    names = [name for name in response.rankings if name != "reranked"]
    return response.rankings[names[-1]] if names else ()
