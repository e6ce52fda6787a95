"""A search API of one's own: an asyncio application that opens the connector once, and shares it between its requests.

    uvicorn --app-dir examples fastapi_app:app
    curl 'http://127.0.0.1:8000/search?q=margin+for+tier-2+partners&department=sales'

Settings come from connector.yaml and CONNECTOR_*; the index is there already, and a worker runs (connector worker)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request

from connector import Connector, FilterError, QueryError, SearchFailed


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with await Connector.open() as connector:
        app.state.connector = connector
        yield


app = FastAPI(title="Search", lifespan=lifespan)


@app.get("/search")
async def search(
    request: Request,
    q: str,
    department: str | None = None,
    k: Annotated[int, Query(ge=1, le=50)] = 10,
) -> dict[str, Any]:
    """The best documents for `q`, each with the passage that answers it."""
    connector: Connector = request.app.state.connector
    try:
        response = await connector.search(q, filter={"term": {"department": department}} if department else None, k=k)
    except (QueryError, FilterError) as error:  # the caller's fault
        raise HTTPException(400, str(error)) from error
    except SearchFailed as error:  # no leg answered
        raise HTTPException(503, str(error)) from error
    return {
        "hits": [
            {
                "id": hit.doc_id,
                "score": round(hit.score, 4),
                "title": hit.fields.get("title"),
                "passage": hit.passage.text if hit.passage else None,
            }
            for hit in response.hits
        ],
        "degraded": [f"{part.stage}: {part.reason}" for part in response.degraded],
    }
