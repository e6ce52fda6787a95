"""An encoder's network as a graph, run without torch, whose loading would take longer than most jobs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.onnx.session import Feed, GraphEngine, Session
from connector.models.runtime import Recipe, unit
from connector.models.tokenizer import read_tokenizer
from connector.types import Vectors

TOKEN_VECTORS = "token_vectors"  # [batch, tokens, dims]
TEXT_VECTOR = "text_vector"  # [batch, dims]


class GraphRuntime:
    """A graph with these outputs, and its recipe beside it, as TorchRuntime.export writes them. Raises ModelError."""

    batches_at_once = 2

    def __init__(self, file: Path, engine: GraphEngine = "onnxruntime") -> None:
        self._session = Session(file, engine)
        self.recipe = read_graph_recipe(file)
        try:
            self._tokenizer = read_tokenizer(self.recipe.tokenizer)
            self._tokenizing = threading.Lock()  # a tokenizer that is told where to cut is nobody else's meanwhile
            self._tokenizer.enable_padding(
                direction=self.recipe.pad_on,
                pad_id=self.recipe.pad_id,
                pad_type_id=self.recipe.pad_type_id,
                pad_token=self.recipe.pad_token,
            )
        except (ValueError, TypeError) as error:
            raise _without_recipe(file, error) from error

    def token_vectors(self, texts: Sequence[str], *, max_tokens: int) -> list[NDArray[np.float32]]:
        feed = self._feed(texts, max_tokens)
        vectors = self._session.run(TOKEN_VECTORS, feed)
        return [unit(own[kept]) for own, kept in zip(vectors, feed["attention_mask"].astype(bool), strict=True)]

    def text_vectors(self, texts: Sequence[str], *, are_queries: bool, one_core: bool = False) -> Vectors:
        prompt = self.recipe.query_prompt if are_queries else self.recipe.passage_prompt
        feed = self._feed([prompt + text for text in texts], self.recipe.max_tokens)
        return unit(self._session.run(TEXT_VECTOR, feed))

    def _feed(self, texts: Sequence[str], max_tokens: int) -> Feed:
        """Inputs [n, tokens] by name."""
        with self._tokenizing:
            self._tokenizer.enable_truncation(max_tokens)
            encodings = self._tokenizer.encode_batch(list(texts))
        return {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], dtype=np.int64),
        }


def recipe_file(graph: Path) -> Path:
    """Where the recipe of a graph is."""
    return graph.with_suffix(".recipe.json")


def read_graph_recipe(graph: Path) -> Recipe:
    """Raises ModelError."""
    try:
        return Recipe(**json.loads(recipe_file(graph).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _without_recipe(graph, error) from error


def _without_recipe(graph: Path, error: Exception) -> ModelError:
    return ModelError(f"cannot load what belongs to {graph} ({error}); delete it, and it is made anew")


def write_recipe(graph: Path, recipe: Recipe) -> None:
    recipe_file(graph).write_text(json.dumps(asdict(recipe)) + "\n", encoding="utf-8")


def move_recipe(made: Path, graph: Path) -> None:
    """Move the recipe of a graph to where it is looked for."""
    os.replace(recipe_file(made), recipe_file(graph))
