"""How fast the worker is beside what people use today: the same weights, the same requests, in one run.

    make bench-worker
    make bench-worker ARGS="--seconds 10 --rounds 2 --model FOLDER --plot docs/measurements/worker.svg"
    make bench-worker ARGS="--alone --backends onnx-int8 --rounds 1 --sustain 600"   # only how the worker lasts

All servers run at once on this machine and are asked in turn, so that noise falls on all of them: alone, then by 8 and
by 32 clients without pause. Every request has 50 passages of the example corpus, of about 128 tokens each with the
query, and a query that no request had before, so that nothing can be remembered. Then the fastest of the worker's
backends is offered three times what it can do, by clients that do not wait for each other; and with --sustain it serves
32 clients for so many seconds, whose requests have a budget of 10 s each, and 10 passages where 50 take too long for
that. The clients share the machine's cores with the servers.

Infinity has an environment of its own (--infinity COMMAND), since it needs other versions of the same libraries; make
makes it, unless told INFINITY=no. What is not there is left out, and the result says so.

Without --model the weights are all-MiniLM-L6-v2 with a fresh head of one label: how fast a model is does not depend on
what it learnt. What the first ten of its rankings have in common does: give a trained model to read that."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

from bars import draw_bars
from gemm import gemm_gflops, pair_gflop
from machine import print_result
from rerank_load import OVERLOAD, Load, compare, measure, overwhelm, sustain
from rerank_servers import (
    Server,
    baseline,
    console,
    flashrank_folder,
    fresh_cross_encoder,
    has_flashrank,
    infinity,
    let_rank_otherwise,
    worker,
)
from rich.console import Console
from rich.table import Table

from connector.evaluation.statistics.latency import percentile
from connector.models.files import read_config

TOKENS_A_PAIR = 128
BACKENDS = ("torch", "onnx", "onnx-int8", "openvino", "openvino-int8")


def main() -> None:
    options = parse_arguments()
    load = Load(options.pairs, tuple(options.clients))
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-worker-") as folder, contextlib.ExitStack() as stack:
        model = options.model or str(fresh_cross_encoder(Path(folder) / "cross-encoder"))
        if not options.model:
            if "onnx-int8" in options.backends or (has_flashrank() and not options.alone):
                let_rank_otherwise(model, "onnx-int8")
            if "openvino-int8" in options.backends:
                let_rank_otherwise(model, "openvino-int8")
        config = read_config(Path(model))
        before = gemm_gflops(config["hidden_size"], config["intermediate_size"])
        ours = [stack.enter_context(worker(model, backend)) for backend in options.backends]
        servers = ours + start_others(stack, model, Path(folder), options, left_out)
        agreement = {} if len(servers) == len(ours) else asyncio.run(compare(servers, load))
        asyncio.run(measure(servers, load, options.seconds, options.rounds))
        best = max(ours, key=lambda server: load.pace(server, max(load.clients)))
        overload = asyncio.run(overwhelm(best, load, options.overload))
        console.print(f"offered {OVERLOAD} times as much, {best.name}: {overload}")
        sustained = asyncio.run(sustain(best, load, options.sustain)) if options.sustain else None
        if sustained:
            console.print(f"{max(load.clients)} clients for {options.sustain:.0f} s, {best.name}: {sustained}")
        memory = {server.name: round(server.memory_mb()) for server in servers}
    figures = report(servers, load, agreement, memory)
    after = gemm_gflops(config["hidden_size"], config["intermediate_size"])
    reached = {name: max(before[name], after[name]) for name in before}  # what else the machine does takes from both
    peak = peak_share(figures, load, config, reached)
    print_headline(peak, load)
    if options.plot:
        draw(figures, load, options.plot)
    print_result(
        {
            "bench": "worker",
            "peak": peak,
            "pairs": load.pairs,
            "servers": figures,
            "left_out": left_out,
            "overload": {"server": best.name} | overload,
            "sustained": sustained,
        }
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a cross-encoder with one label")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each server and number of clients, in each round"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=50, help="of each request")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="how many ask side by side, in turn")
    parser.add_argument("--sustain", type=float, default=0.0, metavar="SECONDS", help="of the most clients at the end")
    parser.add_argument("--overload", type=float, default=60.0, metavar="SECONDS", help="of offering too much")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS, help="of the worker")
    parser.add_argument("--alone", action="store_true", help="the worker, and nothing to hold it against")
    parser.add_argument("--infinity", metavar="COMMAND", help="infinity_emb of the environment that has it")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures as SVG")
    return parser.parse_args()


def start_others(
    stack: contextlib.ExitStack, model: str, folder: Path, options: argparse.Namespace, left_out: list[str]
) -> list[Server]:
    """What the worker is held against, as far as it is installed; what is not is added to `left_out`."""
    if options.alone:
        return []
    others = [stack.enter_context(baseline("sentence-transformers", model))]
    graph = flashrank_folder(model, folder / "flashrank")
    if graph is None:
        left_out.append("flashrank: it is not installed (pip install flashrank)")
    else:
        others.append(stack.enter_context(baseline("flashrank", str(graph))))
    if options.infinity:
        others.append(stack.enter_context(infinity(options.infinity, model)))
    else:
        left_out.append("infinity: no --infinity COMMAND was given")
    for reason in left_out:
        console.print(f"left out: {reason}")
    return others


def peak_share(
    figures: dict[str, Any], load: Load, config: dict[str, Any], reached: dict[str, float]
) -> dict[str, Any]:
    """How near each server comes to the fastest matrix products that there are here, of any precision. The rest is
    products in more bits, attention's softmax, the norms, GELU, tokens, HTTP, the clients."""
    gflop, highest = pair_gflop(config, TOKENS_A_PAIR), max(reached, key=lambda precision: reached[precision])
    shares = {
        name: {
            f"{clients}_clients": round(own[f"{clients}_clients"]["pairs_per_s"] * gflop / reached[highest], 3)
            for clients in load.clients
        }
        for name, own in figures.items()
    }
    return {
        "share": shares,
        "highest": highest,
        "gemm_gflop_per_s": {name: round(value) for name, value in reached.items()},
        "pair_gflop": round(gflop, 2),
    }


def print_headline(peak: dict[str, Any], load: Load) -> None:
    rate = peak["gemm_gflop_per_s"][peak["highest"]]
    table = Table(
        title=f"share of the highest matrix rate here: {rate:,} GFLOP/s in {peak['highest']}, "
        f"{rate / peak['pair_gflop']:,.0f} pairs/s",
        title_justify="left",
        show_edge=False,
    )
    table.add_column("server")
    for clients in load.clients:
        table.add_column(f"{clients} client{'s' * (clients > 1)}", justify="right")
    for name, shares in peak["share"].items():
        table.add_row(name, *(f"{share:.3f}" for share in shares.values()))
    Console().print(table)


def report(servers: list[Server], load: Load, agreement: dict[str, float], memory: dict[str, int]) -> dict[str, Any]:
    """Print the table; the figures by server."""
    reference = next((server for server in servers if server.name.startswith("sentence")), servers[0])
    table = Table(title=f"{load.pairs} pairs of about 128 tokens a request", title_justify="left", show_edge=False)
    for column in ("server", "clients", "pairs/s", "ratio", "p50 s", "p95 s", "p99 s", "top 10 in common", "MB"):
        table.add_column(column, justify="left" if column == "server" else "right")
    figures: dict[str, Any] = {}
    for server, clients in itertools.product(servers, load.clients):
        ratio = load.pace(server, clients) / load.pace(reference, clients)
        quantiles = {f"p{share}_s": round(percentile(server.done[clients], share / 100), 3) for share in (50, 95, 99)}
        known = {"top_10_in_common": agreement.get(server.name), "memory_mb": memory[server.name]}
        figures.setdefault(server.name, known)
        figures[server.name][f"{clients}_clients"] = {
            "pairs_per_s": round(load.pace(server, clients), 1),
            "ratio": round(ratio, 2),
        } | quantiles
        own = (str(known["top_10_in_common"]), str(memory[server.name])) if clients == load.clients[0] else ("", "")
        table.add_row(
            server.name if clients == load.clients[0] else "",
            str(clients),
            f"{load.pace(server, clients):.1f}",
            f"{ratio:.2f}",
            *(f"{value:.2f}" for value in quantiles.values()),
            *own,
        )
    Console().print(table)
    return figures


def draw(figures: dict[str, Any], load: Load, file: Path) -> None:
    """Pairs per second of every server, by the number of clients."""
    paces = {
        name: {
            f"{clients} client{'s' * (clients > 1)}": own[f"{clients}_clients"]["pairs_per_s"]
            for clients in load.clients
        }
        for name, own in figures.items()
    }
    caption = f"pairs per second, {load.pairs} pairs of about 128 tokens a request"
    file.write_text(draw_bars(paces, caption), encoding="utf-8")


if __name__ == "__main__":
    main()
