"""One peer, in its own environment: the job comes as JSON on stdin; what was found and how long it took goes to a file,
or why it failed.

A peer is a module with `prepare(peer, documents)`, which writes the documents and gives a function from a query to the
ids that it found."""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path[0] = str(
    Path(__file__).parents[1]
)  # in place of this folder: peers are called like the libraries that they try


def play(job: dict[str, Any]) -> dict[str, Any]:
    peer = SimpleNamespace(**job["peer"])
    began = time.perf_counter()
    search = importlib.import_module(f"peer.{job['name']}").prepare(peer, job["documents"])
    prepared_s = time.perf_counter() - began

    def timed(query: str) -> float:
        began = time.perf_counter()
        search(query)
        return (time.perf_counter() - began) * 1000

    queries: dict[str, str] = job["queries"]
    found = {query_id: search(query) for query_id, query in queries.items()}  # loads all that is kept from then on
    took_ms = [timed(query) for query in queries.values()]
    side_by_side = list(queries.values()) * job["rounds"]
    began = time.perf_counter()
    with ThreadPoolExecutor(job["clients"]) as pool:
        list(pool.map(search, side_by_side))
    together_s = time.perf_counter() - began
    return {
        "prepared_s": prepared_s,
        "found": found,
        "took_ms": took_ms,
        "searches_per_s": len(side_by_side) / together_s,
    }


if __name__ == "__main__":
    job: dict[str, Any] = json.load(sys.stdin)
    try:
        result = play(job)
    except Exception as error:  # whatever a peer raises is its result
        traceback.print_exc()
        result = {"failed": f"{type(error).__name__}: {error}"}
    Path(job["result"]).write_text(json.dumps(result))
