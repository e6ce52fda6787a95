"""An index that was back-filled, held against one that is built anew from the same documents."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np

JSON = dict[str, Any]
PAGE = 500
TOLERANCE = 1e-4


def read_index(client: httpx.Client, index: str) -> Iterator[tuple[str, JSON]]:
    """Every document, by its id, with its vectors."""
    root = client.get("/").raise_for_status().json()["version"]
    is_elasticsearch = root.get("distribution", "elasticsearch") == "elasticsearch"
    hides = is_elasticsearch and int(root["number"].split(".")[0]) >= 9
    body = {"size": PAGE, "sort": ["_doc"], **({"_source": {"exclude_vectors": False}} if hides else {})}
    client.post(f"/{index}/_refresh").raise_for_status()
    reply = client.post(f"/{index}/_search?scroll=5m", json=body).raise_for_status().json()
    while hits := reply["hits"]["hits"]:
        yield from ((hit["_id"], hit["_source"]) for hit in hits)
        again = {"scroll": "5m", "scroll_id": reply["_scroll_id"]}
        reply = client.post("/_search/scroll", json=again).raise_for_status().json()
    client.request("DELETE", "/_search/scroll", json={"scroll_id": reply["_scroll_id"]})


def write_documents(file: Path, documents: Mapping[str, JSON]) -> None:
    """Those with a text, as an ingest reads them; one without is no document to it."""
    with file.open("w", encoding="utf-8") as lines:
        for doc_id, source in documents.items():
            if source.get("title") or source.get("body"):
                lines.write(json.dumps({"_id": doc_id, **source}) + "\n")


def compare(
    client: httpx.Client, index: str, field: str, anew: str, documents: Mapping[str, JSON]
) -> tuple[Counter[str], list[str]]:
    """How many documents differ, by what differs, and an example of each: from what the writers wrote last (missing,
    too many, not theirs), and in passages and vectors from the index `anew`."""
    fresh = {doc_id: source["passages"] for doc_id, source in read_index(client, anew)}
    found: set[str] = set()
    differences: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for doc_id, source in read_index(client, index):
        passages, marker = source.pop(field, None) or [], source.pop(f"{field}_of", None)
        found.add(doc_id)
        if doc_id not in documents:
            kind = "not deleted"
        elif source != documents[doc_id]:
            kind = "another document"
        elif not marker:
            kind = "no marker"
        else:
            kind = differ(passages, fresh.get(doc_id, []))
        if kind:
            differences[kind] += 1
            examples.setdefault(kind, f"{kind}: document {doc_id}, n={source.get('n')}, fields {', '.join(source)}")
    missing = documents.keys() - found
    if missing:
        differences["missing"] = len(missing)
        examples["missing"] = f"missing: document {min(missing)}"
    return differences, list(examples.values())


def differ(passages: list[JSON], fresh: list[JSON]) -> str:
    """In what two lists of passages differ; "" where they do not."""
    if [(passage["ordinal"], passage["text"]) for passage in passages] != [
        (passage["ordinal"], passage["text"]) for passage in fresh
    ]:
        return "other passages"
    if any("vector" not in passage for passage in passages):
        return "no vectors"
    pairs = zip(passages, fresh, strict=True)
    if not all(np.allclose(floats_of(ours), floats_of(theirs), atol=TOLERANCE) for ours, theirs in pairs):
        return "other vectors"
    return ""


def floats_of(passage: JSON) -> Any:
    vector = passage["vector"]
    return np.frombuffer(base64.b64decode(vector), dtype=">f4") if isinstance(vector, str) else np.array(vector)
