"""How many pairs a second rerankers of the hub's shapes score on this machine, by backend, all in one run.

    make bench-rerankers
    make bench-rerankers ARGS="--shapes MiniLM-L6,ettin-17m --backends torch --pairs 8 --rounds 1"
    make bench-rerankers ARGS="--late-interaction all-MiniLM-L6-v2 BAAI/bge-small-en-v1.5 --backends onnx,openvino-int8"

Speed depends on a model's shape, not on what it learnt: so each model is made here, with random weights, and no hub is
needed. Every shape has the same pairs, about 128 tokens of the example corpus each, new in every round. The backends of
a shape take turns in each round, so that noise falls on all of them; the shapes follow one another, since their models
would not fit into memory together. A shape that a backend cannot run is reported with its reason.

With --late-interaction, encoders that exist rerank in place of the shapes, by their token vectors and with no memory of
passages. They fit into memory together, so all of them take turns. Where other programs have a part of the cores, the
pairs per second of CPU time say more than those of the clock.

The feed-forward width of the Ettin shapes is the one that comes nearest to their published number of parameters."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import print_result
from rich.console import Console
from rich.table import Table

from connector.errors import ModelError
from connector.models.backends import Backend
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.files import find_model
from connector.models.late_interaction import LateInteractionScorer
from connector.models.scorer import Scorer

ROOT = Path(__file__).parents[1]
BACKENDS: tuple[Backend, ...] = ("torch", "onnx", "onnx-int8", "openvino", "openvino-int8")
TOKENS = 128  # of a pair, about
WORDS = 81
SEED = 5
console = Console(stderr=True, highlight=False, markup=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's speed depends on; `like` names the models of the hub that have it."""

    family: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    like: str


SHAPES = {
    "TinyBERT-L2": Shape("bert", 30_522, 128, 2, 2, 512, "cross-encoder/ms-marco-TinyBERT-L2-v2"),
    "MiniLM-L6": Shape("bert", 30_522, 384, 6, 12, 1_536, "cross-encoder/ms-marco-MiniLM-L6-v2"),
    "MiniLM-L12": Shape("bert", 30_522, 384, 12, 12, 1_536, "cross-encoder/ms-marco-MiniLM-L12-v2"),
    "ettin-17m": Shape("modernbert", 50_368, 256, 7, 4, 512, "cross-encoder/ettin-reranker-17m-v1"),
    "ettin-32m": Shape("modernbert", 50_368, 384, 10, 6, 640, "cross-encoder/ettin-reranker-32m-v1"),
    "ettin-68m": Shape("modernbert", 50_368, 512, 19, 8, 768, "cross-encoder/ettin-reranker-68m-v1"),
    "ModernBERT-base": Shape(
        "modernbert", 50_368, 768, 22, 12, 1_152,
        "cross-encoder/ettin-reranker-150m-v1, Alibaba-NLP/gte-reranker-modernbert-base",
    ),
    "XLM-R-base": Shape("xlm-roberta", 250_002, 768, 12, 12, 3_072, "BAAI/bge-reranker-base"),
    "XLM-R-large": Shape("xlm-roberta", 250_002, 1_024, 24, 16, 4_096, "BAAI/bge-reranker-v2-m3"),
}  # fmt: skip


@dataclass
class Run:
    """A shape, or an encoder by name, on a backend, and the pairs per second of each round; or why there are none."""

    shape: str
    backend: Backend
    speeds: list[float] = field(default_factory=list)
    cpu_speeds: list[float] = field(default_factory=list)  # pairs per second of CPU time
    failure: str = ""

    @property
    def pairs_per_s(self) -> float | None:
        return round(float(np.median(self.speeds)), 2) if self.speeds else None

    @property
    def pairs_per_cpu_s(self) -> float | None:
        return round(float(np.median(self.cpu_speeds)), 2) if self.cpu_speeds else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES), help="some of them, split by commas")
    parser.add_argument("--late-interaction", nargs="+", default=[], metavar="NAME", help="encoders, instead of shapes")
    parser.add_argument("--backends", default=",".join(BACKENDS), help="some of them, split by commas")
    parser.add_argument("--pairs", type=int, default=50, help="of each request")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    shapes = _chosen(parser, options.shapes, tuple(SHAPES))
    backends: Sequence[Any] = _chosen(parser, options.backends, BACKENDS)
    if options.late_interaction:
        runs = [Run(name, backend) for name in options.late_interaction for backend in backends]
        measure(runs, lambda run: LateInteractionScorer(run.shape, device="cpu", backend=run.backend), options)
        report(dict.fromkeys(options.late_interaction), runs, options)
        return
    with tempfile.TemporaryDirectory(prefix="bench-rerankers-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # graphs of models that learnt nothing stay out of the cache
        millions: dict[str, float | None] = {}
        runs = []
        for name in shapes:
            millions[name] = save_model(SHAPES[name], Path(folder) / name)
            own = [Run(name, backend) for backend in backends]
            measure(
                own, lambda run: CrossEncoderScorer(f"{folder}/{run.shape}", device="cpu", backend=run.backend), options
            )
            runs += own
    report(millions, runs, options)


def measure(runs: Sequence[Run], load: Callable[[Run], Scorer], options: argparse.Namespace) -> None:
    """All of them in turn, in each round."""
    scorers = []
    for run in runs:
        console.print(f"loading {run.shape} for {run.backend}")
        try:
            scorer = load(run)
            scorer.score(*_request(-1, 2))  # what the first call sets up is not its speed
            scorers.append((run, scorer))
        except ModelError as error:
            run.failure = str(error)
    for at in range(options.rounds):
        query, passages = _request(at, options.pairs)
        for run, scorer in scorers:
            began, began_cpu = time.perf_counter(), time.process_time()
            scorer.score(query, passages)
            run.speeds.append(options.pairs / (time.perf_counter() - began))
            run.cpu_speeds.append(options.pairs / (time.process_time() - began_cpu))


def save_model(shape: Shape, folder: Path) -> float:
    """A model of the shape with random weights and one label, and the tokenizer that is at hand; its parameters in
    millions."""
    import torch
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    torch.manual_seed(SEED)
    model = _build(shape)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(find_model("all-MiniLM-L6-v2"))
    if shape.family != "bert":  # only BERT tells the two texts apart by types
        names = {f"{token}_token": getattr(tokenizer, f"{token}_token") for token in ("pad", "unk", "cls", "sep")}
        inputs = ["input_ids", "attention_mask"]
        core = tokenizer.backend_tokenizer
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=core, model_max_length=512, model_input_names=inputs, **names
        )
    tokenizer.save_pretrained(folder)
    return float(sum(weights.numel() for weights in model.parameters()) / 1e6)


def _build(shape: Shape) -> Any:
    import transformers as hub

    sizes = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "num_labels": 1,
    }
    match shape.family:
        case "bert":
            return hub.BertForSequenceClassification(hub.BertConfig(**sizes))
        case "xlm-roberta":
            config = hub.XLMRobertaConfig(**sizes, max_position_embeddings=514, type_vocab_size=1, pad_token_id=0)
            return hub.XLMRobertaForSequenceClassification(config)
        case _:
            config = hub.ModernBertConfig(**sizes, max_position_embeddings=8_192, pad_token_id=0)
            return hub.ModernBertForSequenceClassification(config)


def _request(number: int, pairs: int) -> tuple[str, list[str]]:
    """A query that no other round has, and passages of about TOKENS with it."""
    lines = (ROOT / "examples" / "corpus" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    words = " ".join(json.loads(line)["text"] for line in lines).split()
    starts = np.random.default_rng(SEED + 1 + number).integers(0, len(words) - WORDS, pairs)
    return f"what does contract number {number} say of refunds", [" ".join(words[at : at + WORDS]) for at in starts]


def report(millions: Mapping[str, float | None], runs: Sequence[Run], options: argparse.Namespace) -> None:
    backends = list(dict.fromkeys(run.backend for run in runs))
    table = Table(
        title=f"pairs of about {TOKENS} tokens per second (per second of CPU time)",
        title_justify="left",
        show_edge=False,
    )
    for column in ("shape", "parameters", *backends):
        table.add_column(column, justify="left" if column == "shape" else "right")
    for name, count in millions.items():
        speeds = [next(run for run in runs if (run.shape, run.backend) == (name, backend)) for backend in backends]
        parameters = "" if count is None else f"{count:.0f} M"
        table.add_row(name, parameters, *(_cell(run) for run in speeds))
    Console().print(table)
    for run in runs:
        if run.failure:
            console.print(f"{run.shape}, {run.backend}: {run.failure}", markup=False)
    print_result(
        {
            "bench": "rerankers",
            "tokens": TOKENS,
            "pairs": options.pairs,
            "rounds": options.rounds,
            "pairs_per_s": {
                name: {run.backend: run.pairs_per_s for run in runs if run.shape == name} for name in millions
            },
            "pairs_per_cpu_s": {
                name: {run.backend: run.pairs_per_cpu_s for run in runs if run.shape == name} for name in millions
            },
            "parameters_m": {name: round(count, 1) for name, count in millions.items() if count is not None},
            "like": {name: SHAPES[name].like for name in millions if name in SHAPES},
            "failed": {f"{run.shape} {run.backend}": run.failure for run in runs if run.failure},
        }
    )


def _cell(run: Run) -> str:
    return "–" if run.pairs_per_s is None else f"{run.pairs_per_s:.1f} ({run.pairs_per_cpu_s:.1f})"


def _chosen(parser: argparse.ArgumentParser, given: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in given.split(",")]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
