"""The page's addresses. It is an application of its own, so that its guard is in front of it alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from connector.extras import needs
from connector.gateway.lazy_connector import LazyConnector
from connector.gateway.ui.lists.page import ListPage
from connector.gateway.ui.lists.run import ListRuns
from connector.gateway.ui.name_page import NamePage
from connector.gateway.ui.rendering import FOLDER, JUDGING_FOLDER, make_rendering
from connector.gateway.ui.search_page import SearchPage
from connector.gateway.ui.searching import Pipelines
from connector.judging.page.guard import Guard, allowed_hosts

if TYPE_CHECKING:
    from connector.gateway.ui.grading import Grading

ASSETS = {
    "page.css": (JUDGING_FOLDER, "text/css"),
    "acts.js": (JUDGING_FOLDER, "text/javascript"),
    "icon.svg": (JUDGING_FOLDER, "image/svg+xml"),
    "search.css": (FOLDER, "text/css"),
    "search.js": (FOLDER, "text/javascript"),
    "list.js": (FOLDER, "text/javascript"),
}
ADVICE = "Open it by the address of this machine, or name this host in gateway.api_hosts"


@dataclass(frozen=True, slots=True)
class PageApplication:
    """The application behind its guard, and what ends with it."""

    app: ASGIApp
    runs: ListRuns


def create_ui(lazy: LazyConnector) -> PageApplication:
    """The page. Raises SettingsError where the folder of grades cannot be made."""
    gateway = lazy.settings.gateway
    rendering = make_rendering(lazy.settings.index.name)
    grading = _open_grading(gateway.grades)
    pipelines = Pipelines(lazy)
    search = SearchPage(pipelines, grading, rendering)
    lists = ListPage(pipelines, grading, rendering, ListRuns())
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for file, (folder, media_type) in ASSETS.items():
        content = (folder / "assets" / file).read_bytes()
        app.add_api_route(f"/{file}", partial(_asset, content, media_type), methods=["GET"])
    _add(app, "/", search.show)
    app.add_api_route("/grade", _route(search.grade), methods=["POST"])
    _add(app, "/lists", lists.show)
    _add(app, "/list", lists.look)
    app.add_api_route("/lists", _route(lists.begin), methods=["POST"])
    app.add_api_route("/stop", _route(lists.stop), methods=["POST"])
    if grading:
        name = NamePage(grading, rendering)
        _add(app, "/name", name.show)
        app.add_api_route("/name", _route(name.take), methods=["POST"])
    return PageApplication(Guard(app, allowed_hosts(gateway.host, gateway.api_hosts), advice=ADVICE), lists.runs)


def _open_grading(folder: str | None) -> Grading | None:
    if folder is None:
        return None
    with needs("judge", "a page that takes grades"):
        from connector.gateway.ui.grading import Grading
    return Grading(Path(folder))


def _add(app: FastAPI, path: str, show: Callable[[Request], Awaitable[Response]]) -> None:
    app.add_api_route(path, _route(show), methods=["GET"], response_class=HTMLResponse)


def _route(show: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route that takes nothing but the request."""

    async def answer(request: Request) -> Response:
        return await show(request)

    return answer


def _asset(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type)
