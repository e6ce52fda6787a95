"""An encoder's network in torch, by sentence-transformers: on any device, and what its graph is made from."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.extras import needs
from connector.models.description import read_modules, read_pooling, read_prompts
from connector.models.files import quiet_loading
from connector.models.onnx.assembly import move_graph
from connector.models.onnx.export import export_graph
from connector.models.onnx.forms import Form, workshop
from connector.models.onnx.runtime import TEXT_VECTOR, TOKEN_VECTORS, GraphRuntime, move_recipe, write_recipe
from connector.models.places.weights import holds_safetensors
from connector.models.runtime import DEFAULT_MAX_TOKENS, MIN_COSINE, Recipe
from connector.models.tokenizer import unlimited
from connector.types import Vectors

log = logging.getLogger(__name__)
SAMPLE = (
    "refunds",
    "How long is a deal registered for a tier-2 partner in Größe, after January 2024?",
    "  a text that is longer than models read\n" * 200,
    "",
)


class TorchRuntime:
    """Any sentence-transformers model with a fast tokenizer. Raises ModelError where it cannot be loaded."""

    batches_at_once = 1

    def __init__(self, folder: Path, *, device: str | None = None, why: str = "running a model in torch") -> None:
        """`why` it is run in torch. Raises MissingExtra where that is not installed."""
        if not holds_safetensors(folder):
            raise ModelError(f"{folder} holds a graph and no safetensors, which torch would run; use backend: onnx")
        with needs("torch", why):
            from sentence_transformers import SentenceTransformer

            quiet_loading()
        try:
            self._model = SentenceTransformer(
                str(folder), device=device, local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"cannot load the encoder in {folder}: {error}") from error
        self._model.eval().requires_grad_(False)
        if not any(self._model.prompts.values()):
            queries, passages = read_prompts(folder)
            self._model.prompts = {"query": queries, "document": passages}
        if not read_modules(folder):  # the library takes the mean then, whatever the family does
            self._pool(read_pooling(folder))
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"the encoder in {folder} has no fast tokenizer, which passage borders are found with")
        limits = (self._model.max_seq_length, tokenizer.model_max_length)
        known = [limit for limit in limits if limit and limit < 1_000_000]
        self.recipe = Recipe(
            tokenizer=unlimited(tokenizer).to_str(),
            pad_token=tokenizer.pad_token,
            pad_id=tokenizer.pad_token_id,
            pad_type_id=tokenizer.pad_token_type_id,
            pad_on=tokenizer.padding_side,
            max_tokens=int(known[0]) if known else DEFAULT_MAX_TOKENS,
            dims=self._model.get_embedding_dimension() or 0,
            query_prompt=_prompt(self._model, "query"),
            passage_prompt=_prompt(self._model, "document", "passage", "corpus"),
        )

    def token_vectors(self, texts: Sequence[str], *, max_tokens: int) -> list[NDArray[np.float32]]:
        import torch

        self._model.max_seq_length = max_tokens
        with torch.inference_mode():
            features = self._model.preprocess(list(texts))
            features = {
                key: value.to(self._model.device) if hasattr(value, "to") else value for key, value in features.items()
            }
            output = self._model[0](features)
            vectors = torch.nn.functional.normalize(output["token_embeddings"].float(), dim=-1).cpu().numpy()
            mask = output["attention_mask"].bool().cpu().numpy()
        return [own[kept] for own, kept in zip(vectors, mask, strict=True)]

    def text_vectors(self, texts: Sequence[str], *, are_queries: bool, one_core: bool = False) -> Vectors:
        self._model.max_seq_length = self.recipe.max_tokens
        encode = self._model.encode_query if are_queries else self._model.encode_document
        with _one_thread() if one_core else contextlib.nullcontext():
            vectors = encode(
                list(texts), batch_size=max(len(texts), 1), normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def export(self, file: Path, form: Form) -> None:
        """Write the model's graph, from token ids to vectors, and the recipe beside it.

        Raises ModelError where the model cannot be exported, or its graph in 32 bits gives other vectors of tokens."""
        outputs = (TOKEN_VECTORS, TEXT_VECTOR) if self.recipe.dims else (TOKEN_VECTORS,)
        with workshop(file.parent) as folder:
            graph, recipe = folder / file.name, self.recipe
            export_graph(self._model[0].model, graph, form, outputs=outputs, compute=self._compute)
            write_recipe(graph, recipe)
            if form != "int8":
                try:
                    recipe = replace(recipe, text_cosine=self._compare(GraphRuntime(graph)))
                except RuntimeError as error:  # of torch, or of the graph: see Session.run
                    log.warning("the graph that was made cannot be run", exc_info=True)
                    raise ModelError(
                        f"the model's graph cannot be run ({error}); run it with backend: torch"
                    ) from error
                write_recipe(graph, recipe)
            move_recipe(graph, file)  # first, so that there is no graph without
            move_graph(graph, file)

    def _pool(self, mode: str) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling

        self._model[1] = Pooling(self._model.get_embedding_dimension() or 0, pooling_mode=mode)

    def _compute(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        first, *others = self._model
        features = first(dict(inputs))
        tokens = features["token_embeddings"]
        for module in others:
            features = module(features)
        return (tokens, features["sentence_embedding"]) if self.recipe.dims else (tokens,)

    def _compare(self, graph: GraphRuntime) -> float:
        """The lowest cosine of text vectors. Raises ModelError where those of tokens differ."""
        limit = self.recipe.max_tokens
        pairs = zip(
            graph.token_vectors(SAMPLE, max_tokens=limit), self.token_vectors(SAMPLE, max_tokens=limit), strict=True
        )
        for given, expected in pairs:
            if given.shape != expected.shape or (given * expected).sum(axis=-1).min() < MIN_COSINE:
                raise ModelError("the model's graph gives other vectors than the model; run it with backend: torch")
        if not self.recipe.dims:
            return 1.0
        return min(
            float(
                (
                    graph.text_vectors(SAMPLE, are_queries=are_queries)
                    * self.text_vectors(SAMPLE, are_queries=are_queries)
                )
                .sum(1)
                .min()
            )
            for are_queries in (True, False)
        )


def _prompt(model: Any, *names: str) -> str:
    """What sentence-transformers puts before a text: the first of the prompts that the model has, or its default."""
    name = next((prompt for prompt in names if prompt in model.prompts), model.default_prompt_name)
    return model.prompts.get(name) or ""


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Within the block this thread's torch uses one core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
