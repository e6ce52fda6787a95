"""What a type checker sees of the library's front door. Nothing runs this: `make lint` reads it, and an `ignore` where
there is no error to ignore is an error."""

from __future__ import annotations

from connector import Connector, SearchResponse, Settings, SyncConnector, __version__


async def ask(connector: Connector, other: SyncConnector) -> SearchResponse:
    right = await connector.search("x", k=3, filter="a=b", deadline_s=2.5, rerank=False)
    pages = other.search(lexical={"match": {"title": "x"}}, cursor=True, offset=None)
    other.search("x", lexical={"match": {"title": "x"}}, cursor=pages.cursor)
    other.search("x", window=20, depth=100, credentials=None)
    print(right.hits[0].explain.fusion, __version__.upper())
    return right


async def ask_what_there_is_not(connector: Connector, other: SyncConnector) -> None:
    await connector.search("x", kk=3)  # type: ignore[call-arg]
    other.search("x", k="three")  # type: ignore[arg-type]
    other.search("x", deadline=3)  # type: ignore[call-arg]
    other.search("x", lexical="title:x")  # type: ignore[arg-type]
    other.search(b"x")  # type: ignore[arg-type]
    Settings(nonsens=1)  # type: ignore[call-arg]
