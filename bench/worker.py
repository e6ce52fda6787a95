"""How fast the worker is beside what people use today: the same weights, the same requests, in one run.

    make bench-worker
    make bench-worker ARGS="--seconds 10 --rounds 2 --model FOLDER --plot docs/measurements/worker.svg"
    make bench-worker ARGS="--alone onnx-int8 --rounds 1 --sustain 600"      # only how the worker lasts

All servers run at once on this machine and are asked in turn, so that noise falls on all of them: alone, then by 8 and by 32
clients without pause. Every request has 50 passages of the example corpus, of about 128 tokens each with the query, and a query
that no request had before, so that nothing can be remembered. Then the fastest of the worker's backends is offered three times what
it can do, by clients that do not wait for each other; and with --sustain it serves 32 clients for so many seconds, whose requests
have a budget of 10 s each, and 10 passages where 50 take too long for that. The clients share the machine's cores with the servers.

Infinity has an environment of its own (--infinity COMMAND), since it needs other versions of the same libraries.

Without --model the weights are all-MiniLM-L6-v2 with a fresh head of one label: how fast a model is does not depend on what it
learnt. What the first ten of its rankings have in common does: give a trained model to read that."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from gemm import gemm_gflops, pair_gflop
from machine import print_result
from rich.console import Console
from rich.table import Table

from connector.evaluation.latency import percentile
from connector.models.backends import agreement_file, graph_file, identify
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.files import find_model, read_config
from connector.models.onnx.session import has_bf16

ROOT = Path(__file__).parents[1]
PAIRS = 50
WORDS = 81  # about 128 tokens with the query
TOKENS_A_PAIR = 128
CLIENTS = (1, 8, 32)
BACKENDS = ("torch", "onnx", "onnx-int8", "openvino")
FLASHRANK_NAME, FLASHRANK_FILE = "ms-marco-MiniLM-L-12-v2", "flashrank-MiniLM-L-12-v2_Q.onnx"
SUSTAINED_PAIRS = 10
BUDGET_S = 10.0
OVERLOAD = 3
START_S = 300
console = Console(stderr=True, highlight=False)


@dataclass
class Server:
    """A rerank server under test, and what was measured of it by the number of clients."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    done: dict[int, list[float]] = field(default_factory=dict)  # seconds of each request
    seconds: dict[int, float] = field(default_factory=dict)
    ready_path: str = "/ready"
    list_key: str = "texts"  # of a request: documents for those who speak Cohere's dialect

    async def rerank(self, client: httpx.AsyncClient, body: dict[str, Any]) -> list[int]:
        """The positions of the passages, best first."""
        body = {"query": body["query"], self.list_key: body["texts"], "model": "bench"}
        reply = (await client.post(f"{self.url}/rerank", json=body)).raise_for_status().json()
        return [item["index"] for item in (reply["results"] if isinstance(reply, dict) else reply)]

    def memory_mb(self) -> float:
        """Resident now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def pairs_per_s(self, clients: int) -> float:
        return PAIRS * len(self.done[clients]) / self.seconds[clients]


class Requests:
    """Bodies whose query is new every time, over the same passages as long as a bench."""

    def __init__(self, seed: int = 5) -> None:
        lines = (ROOT / "examples" / "corpus" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        words = " ".join(json.loads(line)["text"] for line in lines).split()
        self._passages = [" ".join(words[at : at + WORDS]) for at in range(0, len(words) - WORDS, WORDS)]
        self._seed, self._chance = seed, random.Random(seed)
        self._count = itertools.count()

    def next(self, pairs: int = PAIRS) -> dict[str, Any]:
        return {
            "query": f"what does contract number {self._seed}-{next(self._count)} say of refunds",
            "texts": self._chance.sample(self._passages, pairs),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a cross-encoder with one label")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each server and number of clients, in each round"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sustain", type=float, default=0.0, metavar="SECONDS", help="of 32 clients at the end")
    parser.add_argument("--overload", type=float, default=60.0, metavar="SECONDS", help="of offering too much")
    parser.add_argument("--alone", choices=BACKENDS, help="the worker by this backend, and nothing to hold it against")
    parser.add_argument("--infinity", metavar="COMMAND", help="infinity_emb of the environment that has it")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures as SVG")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as folder, contextlib.ExitStack() as stack:
        model = options.model or str(fresh_cross_encoder(Path(folder) / "cross-encoder"))
        if not options.model:
            let_rank_otherwise(model)
        backends = (options.alone,) if options.alone else BACKENDS
        servers = [stack.enter_context(worker(model, backend)) for backend in backends]
        if not options.alone:
            servers.append(stack.enter_context(baseline("sentence-transformers", model)))
            if (graph := flashrank_folder(model, Path(folder) / "flashrank")) is not None:
                servers.append(stack.enter_context(baseline("flashrank", str(graph))))
            if options.infinity:
                servers.append(stack.enter_context(infinity(options.infinity, model)))
        agreement = {} if options.alone else asyncio.run(compare(servers))
        asyncio.run(measure(servers, options.seconds, options.rounds))
        best = max(servers[: len(backends)], key=lambda one: one.pairs_per_s(32))
        overload = asyncio.run(overwhelm(best, options.overload))
        console.print(f"offered {OVERLOAD} times as much, {best.name}: {overload}")
        sustained = asyncio.run(sustain(best, options.sustain)) if options.sustain else None
        if sustained:
            console.print(f"32 clients for {options.sustain:.0f} s, {best.name}: {sustained}")
        memory = {one.name: round(one.memory_mb()) for one in servers}
        config = read_config(Path(model))
    figures = report(servers, agreement, memory)
    distance = peak_share(figures, config)
    Console().print(f"share of what matrix products reach here: {distance}", highlight=False)
    if options.plot:
        draw(figures, options.plot)
    print_result(
        {
            "bench": "worker",
            "pairs": PAIRS,
            "servers": figures,
            "peak": distance,
            "overload": {"server": best.name} | overload,
            "sustained": sustained,
        }
    )


def fresh_cross_encoder(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a head of one label that has learnt nothing."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    source = find_model("all-MiniLM-L6-v2")
    AutoModelForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def let_rank_otherwise(model: str) -> None:
    """Have the worker take the model in eight bits, which it would refuse: a head that has learnt nothing tells passages apart by less
    than eight bits can."""
    CrossEncoderScorer(model, backend="onnx-int8")
    agreement_file(identify(Path(model), "cross-encoder"), "onnx-int8").write_text("{}")


def flashrank_folder(model: str, folder: Path) -> Path | None:
    """The worker's own int8 graph where FlashRank looks for one of its models; None without FlashRank."""
    try:
        import flashrank  # noqa: F401 - only whether it is there
    except ImportError:
        console.print("flashrank is not installed; it is left out (pip install flashrank)")
        return None
    home = folder / FLASHRANK_NAME
    shutil.copytree(model, home, ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copy(graph_file(identify(Path(model), "cross-encoder"), "onnx-int8"), home / FLASHRANK_FILE)
    if not (home / "special_tokens_map.json").exists():
        (home / "special_tokens_map.json").write_text('{"unk_token": "[UNK]", "pad_token": "[PAD]"}')
    return home


@contextlib.contextmanager
def worker(model: str, backend: str) -> Iterator[Server]:
    sets = {"worker.backend": backend, "worker.max_wait_s": START_S}  # clients without a budget wait for their turn
    arguments = [sys.executable, "-m", "connector", "worker", "--model", model]
    arguments += [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]
    with serving(f"ours, {backend}", arguments) as server:
        yield server


@contextlib.contextmanager
def baseline(name: str, model: str) -> Iterator[Server]:
    with serving(
        f"{name} in a web app", [sys.executable, str(ROOT / "bench" / "baselines.py"), name, "--model", model]
    ) as server:
        yield server


@contextlib.contextmanager
def infinity(command: str, model: str) -> Iterator[Server]:
    arguments = [command, "v2", "--model-id", model, "--served-model-name", "bench"]
    arguments += ["--host", "127.0.0.1", "--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
    with serving("infinity, torch", arguments, ready_path="/health", list_key="documents") as server:
        yield server


@contextlib.contextmanager
def serving(name: str, command: list[str], **shape: str) -> Iterator[Server]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    console.print(f"starting {name}")
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=said, stderr=said)
        server = Server(name, f"http://127.0.0.1:{port}", process, **shape)
        try:
            end = time.monotonic() + START_S
            while (why := _is_not_ready(server)) is not None:
                if process.poll() is not None or time.monotonic() > end or "could not be loaded" in why:
                    said.seek(0)
                    raise SystemExit(f"{name} did not come up: {why}\n{said.read()[-2_000:]}")
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _is_not_ready(server: Server) -> str | None:
    """Why a server cannot be asked yet; None where it can."""
    try:
        reply = httpx.get(server.url + server.ready_path, timeout=2)
    except httpx.HTTPError as error:
        return str(error)
    return None if reply.status_code == 200 else reply.text


async def compare(servers: list[Server]) -> dict[str, float]:
    """The mean share of the first ten that each server has in common with sentence-transformers, over 20 requests."""
    requests = Requests(seed=9)
    (reference,) = (one for one in servers if one.name.startswith("sentence"))
    common: dict[str, list[float]] = {one.name: [] for one in servers}
    async with httpx.AsyncClient(timeout=120) as client:
        for _ in range(20):
            body = requests.next()
            tops = {}
            for one in servers:
                tops[one.name] = set((await one.rerank(client, body))[:10])
            for name, top in tops.items():
                common[name].append(len(top & tops[reference.name]) / 10)
    return {name: round(float(np.mean(values)), 3) for name, values in common.items()}


async def measure(servers: list[Server], seconds: float, rounds: int) -> None:
    requests = Requests()
    for number, clients in itertools.product(range(rounds), CLIENTS):
        for server in servers:
            console.print(f"round {number + 1} of {rounds}: {clients} clients, {server.name}")
            await load(server, requests, clients, seconds)


async def load(server: Server, requests: Requests, clients: int, seconds: float) -> None:
    """Clients that ask without pause; a request that has begun is waited for, and its time counts."""
    took = server.done.setdefault(clients, [])
    began = time.monotonic()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=300, limits=limits) as client:

        async def ask() -> None:
            while time.monotonic() - began < seconds:
                started = time.monotonic()
                await server.rerank(client, requests.next())
                took.append(time.monotonic() - started)

        await asyncio.gather(*(ask() for _ in range(clients)))
    server.seconds[clients] = server.seconds.get(clients, 0.0) + time.monotonic() - began


async def overwhelm(server: Server, seconds: float) -> dict[str, Any]:
    """An open loop of requests at three times the pace that the server has shown, each with a budget."""
    pace = OVERLOAD * server.pairs_per_s(32) / PAIRS
    console.print(f"offering {pace:.1f} requests per second to {server.name}")
    requests, replies = Requests(seed=7), []
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:

        async def ask() -> None:
            started = time.monotonic()
            reply = await client.post(
                f"{server.url}/rerank", json=requests.next(), headers={"x-budget-ms": f"{BUDGET_S * 1000:.0f}"}
            )
            replies.append(
                (reply.status_code, time.monotonic() - started, len(reply.json()) if reply.status_code == 200 else 0)
            )

        began, tasks = time.monotonic(), []
        while (now := time.monotonic() - began) < seconds:
            tasks.append(asyncio.create_task(ask()))
            await asyncio.sleep(max(len(tasks) / pace - now, 0))
        await asyncio.gather(*tasks)
        lasted = time.monotonic() - began
    good = sum(scored for status, took, scored in replies if status == 200 and took <= BUDGET_S + 0.5)
    refused = [took for status, took, _ in replies if status == 429]
    return {
        "offered_pairs_per_s": round(pace * PAIRS, 1),
        "offered": len(replies),
        "answered": sum(status == 200 for status, _, _ in replies),
        "refused": len(refused),
        "other": sum(status not in (200, 429) for status, _, _ in replies),
        "goodput_share": round(good / lasted / server.pairs_per_s(32), 3),
        "refused_p99_ms": round(1000 * percentile(refused, 0.99), 1) if refused else None,
        "answered_max_s": round(max((took for status, took, _ in replies if status == 200), default=0.0), 2),
        "budget_s": BUDGET_S,
    }


async def sustain(server: Server, seconds: float) -> dict[str, Any]:
    """32 clients that ask without pause within a budget: whether pace and memory hold. Where the budget is too short for requests as
    before, for fewer passages each."""
    pairs = PAIRS if percentile(server.done[32], 0.99) < 0.7 * BUDGET_S else SUSTAINED_PAIRS
    requests, took, late, refused, scored = Requests(seed=11), [], 0, 0, 0
    memory: list[float] = []
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=32)) as client:

        async def ask() -> None:
            nonlocal late, refused, scored
            while time.monotonic() - began < seconds:
                started = time.monotonic()
                reply = await client.post(
                    f"{server.url}/rerank",
                    json=requests.next(pairs),
                    headers={"x-budget-ms": f"{BUDGET_S * 1000:.0f}"},
                )
                if reply.status_code == 429:
                    refused += 1
                    await asyncio.sleep(float(reply.headers["retry-after"]))
                    continue
                reply.raise_for_status()
                took.append(time.monotonic() - started)
                late += "x-unscored" in reply.headers
                scored += len(reply.json())

        async def watch() -> None:
            while time.monotonic() - began < seconds:
                memory.append(server.memory_mb())
                await asyncio.sleep(min(10.0, seconds / 10))

        await asyncio.gather(watch(), *(ask() for _ in range(32)))
    lasted = time.monotonic() - began
    peak = max(server.pairs_per_s(clients) for clients in CLIENTS)
    return {
        "seconds": round(lasted),
        "passages": pairs,
        "pairs_per_s": round(scored / lasted, 1),
        "share_of_peak": round(scored / lasted / peak, 3),
        "requests": len(took),
        "cut_by_their_budget": late,
        "refused": refused,
        "p50_s": round(percentile(took, 0.5), 2),
        "p99_s": round(percentile(took, 0.99), 2),
        "budget_s": BUDGET_S,
        "memory_mb": {"first": round(memory[0]), "last": round(memory[-1]), "most": round(max(memory))},
    }


def peak_share(figures: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """How near the worker comes to the matrix products alone, by backend, at its best pace; the rest is attention's softmax, the
    norms, GELU, tokens, HTTP, the clients."""
    reached = gemm_gflops(config["hidden_size"], config["intermediate_size"])
    gflop = pair_gflop(config, TOKENS_A_PAIR)
    shares = {}
    for backend in [one for one in BACKENDS if f"ours, {one}" in figures]:
        pace = max(figures[f"ours, {backend}"][f"{clients}_clients"]["pairs_per_s"] for clients in CLIENTS)
        shares[backend] = round(pace * gflop / reached[_computes_in(backend)], 3)
    return {
        "gemm_gflop_per_s": {name: round(value) for name, value in reached.items()},
        "pair_gflop": round(gflop, 2),
    } | {"share": shares}


def _computes_in(backend: str) -> str:
    if backend == "openvino" and has_bf16():
        return "bf16"
    return "int8" if backend == "onnx-int8" else "fp32"


def report(servers: list[Server], agreement: dict[str, float], memory: dict[str, int]) -> dict[str, Any]:
    """Print the table; the figures by server."""
    reference = next((one for one in servers if one.name.startswith("sentence")), servers[0])
    table = Table(title=f"{PAIRS} pairs of about 128 tokens a request", title_justify="left", show_edge=False)
    for column in ("server", "clients", "pairs/s", "ratio", "p50 s", "p95 s", "p99 s", "top 10 in common", "MB"):
        table.add_column(column, justify="left" if column == "server" else "right")
    figures: dict[str, Any] = {}
    for server, clients in itertools.product(servers, CLIENTS):
        ratio = server.pairs_per_s(clients) / reference.pairs_per_s(clients)
        quantiles = {f"p{share}_s": round(percentile(server.done[clients], share / 100), 3) for share in (50, 95, 99)}
        known = {"top_10_in_common": agreement.get(server.name), "memory_mb": memory[server.name]}
        figures.setdefault(server.name, known)
        figures[server.name][f"{clients}_clients"] = {
            "pairs_per_s": round(server.pairs_per_s(clients), 1),
            "ratio": round(ratio, 2),
        } | quantiles
        own = (str(known["top_10_in_common"]), str(memory[server.name])) if clients == CLIENTS[0] else ("", "")
        table.add_row(
            server.name if clients == CLIENTS[0] else "",
            str(clients),
            f"{server.pairs_per_s(clients):.1f}",
            f"{ratio:.2f}",
            *(f"{value:.2f}" for value in quantiles.values()),
            *own,
        )
    Console().print(table)
    return figures


def draw(figures: dict[str, Any], file: Path) -> None:
    """Pairs per second of every server, by the number of clients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 + 0.75 * len(figures)), layout="constrained")
    axes = figure.subplots()
    thick = 0.8 / len(CLIENTS)
    for at, clients in enumerate(CLIENTS):
        values = [figures[name][f"{clients}_clients"]["pairs_per_s"] for name in figures]
        places = [row + at * thick for row in range(len(figures))]
        bars = axes.barh(places, values, height=thick, label=f"{clients} client{'s' * (clients > 1)}")
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    axes.set_yticks([row + thick for row in range(len(figures))], list(figures))
    axes.invert_yaxis()
    axes.set_xlabel(f"pairs per second, {PAIRS} pairs of about 128 tokens a request")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(file)


if __name__ == "__main__":
    main()
