"""Whether the gateway's memory stays flat under load, for bench/gateway.py: looked at once a minute, after each kind of
traffic had its part of that minute.

The first minute warms up, and does not count. What a process needs for its most callers at once, it takes in steps in
the beginning. So the figure is the slope of the second half: in kB for a minute, and for 1,000 requests. Under each
kind of traffic stands what the memory grew by while that kind was asked, of the second half."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import Any

from rich.console import Console
from rich.table import Table

WRK = "wrk"
PASSED, RERANKED = ("get", "search", "bulk"), ("reranked", "distinct", "msearch")
KINDS = (*PASSED, *RERANKED)
WORDS = ("river", "stone", "fish", "boat", "winter", "road", "letter", "garden", "lamp", "bridge")
BULK_LINES = 200
# each request has three texts, of which `text(true)` never comes twice in a run; wrk calls `request` for each
SCRIPT = """
local number, words = %(first)d, {%(words)s}
function text(is_distinct)
  number = number + 1
  local one, other = words[number %% #words + 1], words[number * 7 %% #words + 1]
  return one .. " " .. other .. (is_distinct and " t" .. number or "")
end
function search(of)
  return '{"query":{"match":{"text":"' .. of .. '"}},"size":10}'
end
%(delay)s
function request()
  return wrk.format("%(method)s", "%(path)s", {["Content-Type"] = "%(media)s"}, %(body)s)
end
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of one kind; `body` is an expression of Lua."""

    method: str
    path: str
    body: str
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Clients:
    """How many connections ask, and how long each of them pauses between a reply and its next request."""

    connections: int
    pause_ms: int

    def delay(self) -> str:
        """The pause as a function of Lua; without one, wrk sends at once."""
        return f"function delay() return {self.pause_ms} end\n" if self.pause_ms else ""


@dataclass(frozen=True, slots=True)
class MemoryLook:
    """The gateway's memory after a piece of traffic, and how many requests there were until then."""

    kind: str
    mb: float
    requests: int


def traffic(plain: str, reranked: str | None) -> dict[str, Traffic]:
    """The kinds by their names; `reranked` is an index whose searches the gateway answers itself."""
    line = '{"delete":{"_id":"%s"}}\\n' % ("x" * 400)  # of what is not there, so that the engine keeps nothing
    found = {
        "get": Traffic("GET", f"/{plain}/_doc/1", "nil"),
        "search": Traffic("POST", f"/{plain}/_search", "search(text(false))"),
        "bulk": Traffic(
            "POST", f"/{plain}/_bulk?filter_path=errors", f"string.rep('{line}', {BULK_LINES})", "application/x-ndjson"
        ),
    }
    if reranked is None:
        return found
    lines = " .. ".join(
        f"'{{\"index\":\"{index}\"}}\\n' .. search(text(true)) .. '\\n'" for index in (reranked, reranked, plain)
    )
    return found | {
        "reranked": Traffic("POST", f"/{reranked}/_search", "search(text(false))"),
        "distinct": Traffic("POST", f"/{reranked}/_search", "search(text(true))"),
        "msearch": Traffic("POST", "/_msearch", lines, "application/x-ndjson"),
    }


def watch_memory(
    url: str, memory_mb: Callable[[], float], kinds: dict[str, Traffic], clients: Clients, *, minutes: float
) -> dict[str, Any]:
    """Looks of `memory_mb` under all kinds of traffic in turns, a minute of warming up and then so many minutes; less
    than one is one, and as short as that."""
    rounds = max(round(minutes), 1)
    seconds = max(round(minutes * 60 / rounds / len(kinds)), 1)
    looks = [MemoryLook("", memory_mb(), 0)]
    for number in range((rounds + 1) * len(kinds)):
        kind = list(kinds)[number % len(kinds)]
        count = load(url, kinds[kind], clients, seconds=seconds, first=number * 10**7)
        looks.append(MemoryLook(kind, memory_mb(), looks[-1].requests + count))
    return summarise(looks, len(kinds), minute=seconds * len(kinds) / 60)


def load(url: str, of: Traffic, clients: Clients, *, seconds: int, first: int) -> int:
    """How many requests were answered. Raises SystemExit where one was not."""
    words = ",".join(f'"{word}"' for word in WORDS)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        given = {"method": of.method, "path": of.path, "media": of.media, "body": of.body}
        script.write(SCRIPT % {"first": first, "words": words, "delay": clients.delay(), **given})
        script.flush()
        command = [WRK, "-t1", f"-c{clients.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    count = re.search(r"(\d+) requests in", output)
    if count is None or "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"error: {of.method} {of.path}: replies that are no success:\n{output}")
    return int(count[1])


def summarise(looks: Sequence[MemoryLook], kinds: int, *, minute: float) -> dict[str, Any]:
    """Pure: the memory at the end of each round, the first one warm, and how it goes on in the second half."""
    ends = looks[kinds::kinds]
    half = (len(ends) - 1) // 2
    later = ends[half:]
    kb = [look.mb * 1_024 for look in later]
    by_kind: dict[str, float] = {}
    for before, after in zip(looks[half * kinds + kinds :], looks[half * kinds + kinds + 1 :], strict=False):
        by_kind[after.kind] = round(by_kind.get(after.kind, 0.0) + (after.mb - before.mb) * 1_024)
    return {
        "minutes": round(minute * (len(ends) - 1), 2),
        "requests": looks[-1].requests,
        "mb": [look.mb for look in ends],
        "second_half": {
            "kb_per_minute": _slope(kb, [number * minute for number in range(len(later))]),
            "kb_per_1000_requests": _slope(kb, [look.requests / 1e3 for look in later]),
            "grown_kb_by_kind": by_kind,
        },
    }


def _slope(kb: Sequence[float], over: Sequence[float]) -> float | None:
    """None where nothing was answered meanwhile."""
    return round(linear_regression(over, kb).slope, 3) if len(set(over)) > 1 else None


def show_memory(found: dict[str, Any], console: Console) -> None:
    """As a table: the memory minute by minute."""
    table = Table("minute", "MB")
    for number, mb in enumerate(found["mb"]):
        table.add_row("warm" if number == 0 else str(number), f"{mb:.1f}")
    console.print(table)
    console.print(f"the second half: {found['second_half']}", highlight=False)
