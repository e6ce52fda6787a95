"""What the gateway costs: small gets and searches direct and through it, and a reranked search through it against the
same one by the library, in one run.

Asked by wrk (Debian: apt-get install wrk).

    make bench-gateway
    make bench-gateway ARGS="--minutes 10 --bulk-mb 100"     # and whether its memory stays flat
    make bench-gateway ARGS="--seconds 0 --minutes 10"       # that alone: --traffic distinct msearch, of these alone
    python bench/gateway.py --cluster http://localhost:9200 --seconds 1 --bulk-mb 1

Direct and through are measured in turns, so that a busy machine slows both. `cpu_us` is the processor time of the
gateway for one request, which other programs change little."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway_memory import KINDS, PASSED, Clients, show_memory, traffic, watch_memory
from gateway_reranked import compare_reranked, gateway_arguments, reranked_index
from machine import print_result
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
WRK = "wrk"
UNITS = {"us": 0.001, "ms": 1.0, "s": 1_000.0}
SEARCH = json.dumps({"query": {"match": {"text": "red fish"}}, "size": 10})
WORDS = ("red", "fish", "blue", "river", "stone", "cold", "room", "deal", "firm", "note")
TICK = os.sysconf("SC_CLK_TCK")
console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", help="measure this one instead of starting an engine")
    parser.add_argument("--index", default="bench-gateway", help="made for the bench, and dropped at its end")
    parser.add_argument("--documents", type=int, default=2_000, help="of that index")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement; 0: none, nor the bulk")
    parser.add_argument("--rounds", type=int, default=3, help="of direct and through in turns; the median counts")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    parser.add_argument(
        "--pause-ms", type=int, default=0, help="of each connection, between a reply and its next request"
    )
    parser.add_argument("--processes", type=int, default=1, help="of the gateway")
    parser.add_argument("--data", type=Path, default=ROOT / "examples" / "corpus", help="of the reranked searches")
    parser.add_argument("--reranked", type=int, default=3, help="rounds of the reranked searches; 0: none")
    parser.add_argument("--minutes", type=float, default=0.0, help="of load, while the gateway's memory is looked at")
    parser.add_argument("--traffic", nargs="+", choices=KINDS, default=list(KINDS), help="of that load, in turns")
    parser.add_argument("--bulk-mb", type=float, default=100.0, help="size of a bulk that streams through; 0: none")
    options = parser.parse_args()
    if shutil.which(WRK) is None:
        sys.exit("error: there is no wrk; install it (Debian: apt-get install wrk)")
    if options.cluster:
        measure(options.cluster, options)
        return
    sys.path.insert(0, str(ROOT / "tests" / "servers"))
    import engines

    server = engines.start("elasticsearch", "9.3.2")
    try:
        measure(server["url"], options)
    finally:
        engines.stop(server)


def measure(url: str, options: argparse.Namespace) -> None:
    fill(url, options.index, options.documents)
    found, bulk, reranked, memory = {}, None, None, None
    try:
        if options.seconds:
            with running_gateway(url, options.processes) as gateway:
                found = compare(url, gateway, options)
                bulk = stream_bulk(gateway, options) if options.bulk_mb else None
        if options.reranked and (options.seconds or options.minutes):
            with reranked_index(url, options) as settings:
                with running_gateway(url, options.processes, *gateway_arguments(settings)) as gateway:
                    reranked = compare_reranked(settings, gateway.url, options)
                    memory = look_at_memory(gateway, settings.index.name, options)
        elif options.minutes:
            with running_gateway(url, options.processes) as gateway:
                memory = look_at_memory(gateway, None, options)
    finally:
        send(url, "DELETE", f"/{options.index}")
    if found:
        show(found)
    if reranked:
        console.print(f"reranked search: {reranked}", highlight=False)
    if memory:
        show_memory(memory, console)
    print_result({"bench": "gateway", "requests": found, "reranked": reranked, "bulk": bulk, "memory": memory})


def look_at_memory(gateway: Gateway, reranked: str | None, options: argparse.Namespace) -> dict[str, Any] | None:
    """Under the kinds of traffic that are asked for; None where no time is given for it."""
    if not options.minutes:
        return None
    known = traffic(options.index, reranked)
    kinds = {kind: known[kind] for kind in options.traffic if kind in known}
    if not kinds:
        sys.exit(f"error: without --reranked there is only this traffic: {', '.join(PASSED)}")
    memory_mb = partial(gateway.memory_mb, "RssAnon")
    clients = Clients(max(options.connections), options.pause_ms)
    found = watch_memory(gateway.url, memory_mb, kinds, clients, minutes=options.minutes)
    return found | {"with_files_mb": gateway.memory_mb()}


@contextmanager
def running_gateway(cluster: str, processes: int, *arguments: str) -> Iterator[Gateway]:
    gateway = Gateway(cluster, processes, *arguments)
    try:
        yield gateway
    finally:
        gateway.stop()


class Gateway:
    """A process of `connector gateway`, and what it takes of the machine."""

    def __init__(self, cluster: str, processes: int, *arguments: str) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        command = [sys.executable, "-m", "connector", "gateway", "--cluster", cluster, "--port", "0"]
        self._process = subprocess.Popen([*command, "--processes", str(processes), *arguments], stderr=self._log)
        self.url = self._wait()

    def _wait(self) -> str:
        for _ in range(600):
            self._log.seek(0)
            if match := re.search(r"listening on (http://\S+),", self._log.read()):
                return match[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self._log.seek(0)
        sys.exit(f"error: the gateway did not start: {self._log.read()}")

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def cpu_s(self) -> float:
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._pids())
        return sum(int(field[11]) + int(field[12]) for field in fields) / TICK

    def memory_mb(self, name: str = "VmRSS") -> float:
        """What its processes have in memory; `VmHWM`: had at most; `RssAnon`: without the pages of files, which the
        system takes back as it likes."""
        found = (re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in self._pids())
        return round(sum(int(match[1]) for match in found if match) / 1_024, 1)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


def compare(url: str, gateway: Gateway, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """By request and number of connections: p50 and requests per second of both, and what lies between."""
    found = {}
    for kind, path in (("get", f"/{options.index}/_doc/1"), ("search", f"/{options.index}/_search")):
        for connections in options.connections:
            rounds: list[dict[str, float]] = []
            for _ in range(options.rounds):
                direct = wrk(url + path, kind, connections, options)
                before = gateway.cpu_s()
                through = wrk(gateway.url + path, kind, connections, options)
                cpu_s = gateway.cpu_s() - before
                rounds.append(
                    {
                        "direct_p50_ms": direct["p50_ms"],
                        "through_p50_ms": through["p50_ms"],
                        "added_ms": through["p50_ms"] - direct["p50_ms"],
                        "direct_per_s": direct["per_s"],
                        "through_per_s": through["per_s"],
                        "cpu_us": cpu_s * 1e6 / max(through["requests"], 1),
                    }
                )
            found[f"{kind}, {connections}"] = {name: _median(rounds, name) for name in rounds[0]}
            console.print(f"{kind}, {connections} connections: {found[f'{kind}, {connections}']}", highlight=False)
    return found


def _median(rounds: list[dict[str, float]], name: str) -> float:
    return round(sorted(figures[name] for figures in rounds)[len(rounds) // 2], 3)


def wrk(url: str, kind: str, connections: int, options: argparse.Namespace) -> dict[str, float]:
    """One run; raises SystemExit where a reply was no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        seconds = max(round(options.seconds), 1)
        command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url, "-s", script.name]
        if kind == "search":
            script.write(f'wrk.method="POST"\nwrk.body=[[{SEARCH}]]\nwrk.headers["Content-Type"]="application/json"\n')
        script.write(Clients(connections, options.pause_ms).delay())
        script.flush()
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"error: replies that are no success:\n{output}")
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", output)
    per_s, count = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"(\d+) requests in", output)
    if not (p50 and per_s and count):
        sys.exit(f"error: wrk said something else:\n{output}")
    return {"p50_ms": float(p50[1]) * UNITS[p50[2]], "per_s": float(per_s[1]), "requests": int(count[1])}


def stream_bulk(gateway: Gateway, options: argparse.Namespace) -> dict[str, float]:
    """A bulk whose actions delete what is not there, so that the engine keeps nothing of it."""
    line = b'{"delete":{"_id":"%s"}}\n' % (b"x" * 400)
    size, lines = int(options.bulk_mb * 1e6), 1_000
    before, began = gateway.memory_mb("VmHWM"), time.monotonic()

    def body() -> Iterator[bytes]:
        for _ in range(max(size // (len(line) * lines), 1)):
            yield line * lines

    reply = send(gateway.url, "POST", f"/{options.index}/_bulk?filter_path=errors", body)
    if "errors" not in reply:
        sys.exit(f"error: the bulk was refused: {reply}")
    grown = gateway.memory_mb("VmHWM") - before
    return {"mb": options.bulk_mb, "seconds": round(time.monotonic() - began, 1), "grown_mb": round(grown, 1)}


def fill(url: str, index: str, documents: int) -> None:
    send(url, "DELETE", f"/{index}")
    lines = []
    for number in range(documents):
        words = [WORDS[(number * step + step) % len(WORDS)] for step in range(1, 60)]
        lines += [json.dumps({"index": {"_id": str(number)}}), json.dumps({"text": " ".join(words)})]
    data = "\n".join([*lines, ""]).encode()
    send(url, "POST", f"/{index}/_bulk?refresh=true", lambda: iter([data]))


def send(url: str, method: str, path: str, body: Callable[[], Iterator[bytes]] | None = None) -> Mapping[str, Any]:
    """The reply's JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
    try:
        headers = {"Content-Type": "application/x-ndjson"} if body else {}
        connection.request(method, path, body() if body else None, headers, encode_chunked=body is not None)
        found: Mapping[str, Any] = json.loads(connection.getresponse().read())
        return found
    finally:
        connection.close()


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    table = Table("requests", "direct p50 ms", "through", "added", "direct/s", "through/s", "gateway's CPU µs")
    for name, values in found.items():
        table.add_row(name, *(f"{value:.3g}" if value < 100 else f"{value:,.0f}" for value in values.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
