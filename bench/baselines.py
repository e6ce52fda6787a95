"""What people put in place of a rerank worker: a library in a web app. `python bench/baselines.py NAME --model FOLDER
--port PORT`"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

Score = Callable[[str, list[str]], list[float]]


def sentence_transformers(model: str) -> Score:
    """`CrossEncoder.predict`, as its documentation shows it."""
    from sentence_transformers import CrossEncoder

    encoder = CrossEncoder(model, device="cpu")
    return lambda query, texts: [float(score) for score in encoder.predict([(query, text) for text in texts])]


def flashrank(model: str) -> Score:
    """FlashRank, given a graph under one of the names that it knows."""
    from flashrank import Ranker, RerankRequest

    folder = Path(model)
    ranker = Ranker(model_name=folder.name, cache_dir=str(folder.parent), max_length=512)

    def score(query: str, texts: list[str]) -> list[float]:
        found = ranker.rerank(
            RerankRequest(query=query, passages=[{"id": at, "text": text} for at, text in enumerate(texts)])
        )
        scores = {item["id"]: float(item["score"]) for item in found}
        return [scores[at] for at in range(len(texts))]

    return score


def create_app(score: Score) -> FastAPI:
    """One request at a time: 32 threads of a model on a few cores would only slow each other down."""
    app, turn = FastAPI(), threading.Lock()

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {}

    @app.post("/rerank")
    def rerank(body: dict[str, Any]) -> list[dict[str, Any]]:
        with turn:
            values = score(body["query"], body["texts"])
        items = [{"index": index, "score": value} for index, value in enumerate(values)]
        return sorted(items, key=lambda item: -float(item["score"]))

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["sentence-transformers", "flashrank"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    load = {"sentence-transformers": sentence_transformers, "flashrank": flashrank}[options.name]
    uvicorn.run(create_app(load(options.model)), port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
