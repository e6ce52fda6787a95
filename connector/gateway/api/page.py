"""GET /v1/docs: the OpenAPI document for people to read. It needs no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}code{font-size:.95em}table{border-collapse:collapse;margin:.5rem 0}"
    "td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}"
)
POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def docs_routes(app: FastAPI) -> APIRouter:
    """The route, for an application whose document it shows."""
    router = APIRouter()

    @router.get("/v1/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse("".join(_page(app.openapi())), headers=POLICY)

    return router


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    yield '<meta name="viewport" content="width=device-width"><main>'
    yield f"<h1>{title}</h1><p>{escape(info['summary'])}. "
    yield 'As a document for programs: <a href="/v1/openapi.json">/v1/openapi.json</a>.</p>'
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['description'])}</p>"
            yield from _body(operation, schemas)
            yield from _table(
                ("status", ""), {code: response["description"] for code, response in operation["responses"].items()}
            )
    yield "</main></html>"


def _body(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """The keys of what is sent."""
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    schema: Mapping[str, Any] = next((media_type["schema"] for media_type in content.values()), {})
    found = next((part["$ref"] for part in (schema, *schema.get("anyOf", ())) if "$ref" in part), "")
    keys = schemas.get(found.rpartition("/")[2], {}).get("properties", {})
    if keys:
        yield from _table(
            ("key", ""), {name: f"{_type(key)}. {key.get('description', '')}" for name, key in keys.items()}
        )


def _type(schema: Mapping[str, Any]) -> str:
    """The types that a key may have, in words."""
    if "$ref" in schema:
        return "object"
    parts = [_type(part) for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    return " or ".join(parts) or " or ".join(schema.get("enum", ())) or str(schema.get("type", "anything"))


def _table(heads: tuple[str, str], rows: Mapping[str, str]) -> Iterator[str]:
    yield f"<table><tr><th>{heads[0]}<th>{heads[1]}"
    for name, words in rows.items():
        yield f"<tr><td><code>{escape(name)}</code><td>{escape(words)}"
    yield "</table>"
