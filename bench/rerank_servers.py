"""The rerank servers of `make bench-worker`: the worker by each backend, and what people put in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from connector.models.backends import Backend, agreement_file, graph_file, identify
from connector.models.cross_encoder import CrossEncoderScorer
from connector.models.files import find_model
from connector.models.onnx.assembly import weights_file

ROOT = Path(__file__).parents[1]
FLASHRANK_NAME, FLASHRANK_FILE = "ms-marco-MiniLM-L-12-v2", "flashrank-MiniLM-L-12-v2_Q.onnx"
START_S = 300
console = Console(stderr=True, highlight=False, markup=False)


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


def fresh_cross_encoder(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a head of one label that has learnt nothing."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    source = find_model("all-MiniLM-L6-v2")
    AutoModelForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def let_rank_otherwise(model: str, backend: Backend) -> None:
    """Have the worker take the model in eight bits, which it would refuse: a head that has learnt nothing tells
    passages apart by less than eight bits can."""
    CrossEncoderScorer(model, backend=backend)
    agreement_file(identify(Path(model), "cross-encoder"), backend).write_text("{}")


def has_flashrank() -> bool:
    return find_spec("flashrank") is not None


def flashrank_folder(model: str, folder: Path) -> Path | None:
    """The worker's own int8 graph where FlashRank looks for one of its models; None without FlashRank."""
    return lay_out_for_flashrank(model, folder) if has_flashrank() else None


def lay_out_for_flashrank(model: str, folder: Path) -> Path:
    """The files of a model that FlashRank reads, with the graph that the worker makes of it."""
    home = folder / FLASHRANK_NAME
    shutil.copytree(model, home, ignore=shutil.ignore_patterns("*.safetensors"))
    graph = graph_file(identify(Path(model), "cross-encoder"), "onnx-int8")
    if not graph.exists():  # none of the workers runs with it
        CrossEncoderScorer(model, backend="onnx-int8")
    shutil.copy(graph, home / FLASHRANK_FILE)
    shutil.copy(weights_file(graph), home)  # under the name that the graph has for it
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
def serving(name: str, command: list[str], *, ready_path: str = "/ready", list_key: str = "texts") -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    console.print(f"starting {name}")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=output)
        server = Server(name, f"http://127.0.0.1:{port}", process, ready_path=ready_path, list_key=list_key)
        try:
            end = time.monotonic() + START_S
            while (why := _is_not_ready(server)) is not None:
                if process.poll() is not None or time.monotonic() > end or "could not be loaded" in why:
                    output.seek(0)
                    raise SystemExit(f"{name} did not come up: {why}\n{output.read()[-2_000:]}")
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
