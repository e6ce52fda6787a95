"""Judging folders of a test's own, and raters on their page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from connector.judging.folder import JudgingFolder

HIDDEN = re.compile(r'<input type="hidden" name="(query_id|doc_id)" value="([^"]*)">')


def make_folder(path: Path, queries: Mapping[str, str], pairs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Path:
    """Queries by id, and pairs (query_id, doc_id, fields) in the order of the pool."""
    path.mkdir(parents=True, exist_ok=True)
    rows = [{"_id": query_id, "text": text} for query_id, text in queries.items()]
    folder = JudgingFolder(path)
    _write(folder.queries_file, rows)
    _write(
        folder.pool_file,
        [{"query_id": pair[0], "doc_id": pair[1], "order": at, "fields": pair[2]} for at, pair in enumerate(pairs)],
    )
    return path


def make_plain_folder(path: Path, *, queries: int, documents: int) -> Path:
    """So many queries, each with so many documents of its own; the pool goes by rank, as pools do."""
    texts = {f"q{at}": f"query number {at}" for at in range(queries)}
    return make_folder(
        path,
        texts,
        [
            (query_id, f"{query_id}d{rank}", {"title": f"Title {rank}", "text": f"Text {rank} for {query_id}."})
            for rank in range(documents)
            for query_id in texts
        ],
    )


class Judge:
    """A rater whose browser has no script: follows redirects, sends the forms that the page shows."""

    def __init__(self, name: str, **client: Any) -> None:
        self.name = name
        self.client = httpx.AsyncClient(**client)
        host = self.client.base_url.netloc.decode()
        self.client.headers["origin"] = f"http://{host}"
        self.client.cookies.set("connector-rater", quote(name), domain=self.client.base_url.host)

    async def look(self, path: str = "/") -> str:
        """The page as HTML."""
        return (await self.client.get(path, follow_redirects=True)).raise_for_status().text

    async def post(self, path: str, **form: str) -> httpx.Response:
        """A form sent, and the reply to it."""
        return await self.client.post(path, data=form)

    async def grade(self, page: str, **fields: str) -> httpx.Response:
        """A grade for the pair that a page shows: grade="2", or skip="yes"."""
        return await self.post("/grade", **hidden(page), **fields)


def hidden(page: str) -> dict[str, str]:
    """The pair that a page shows: query_id and doc_id; nothing where it shows none."""
    return {name: unescape(value) for name, value in HIDDEN.findall(page)}


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
