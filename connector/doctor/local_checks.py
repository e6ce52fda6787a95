"""What the doctor looks at in this process and in the worker: settings, the encoder, the worker's speed, a query's
words."""

from __future__ import annotations

import random
import re
import statistics
import time

from connector.clusters.protocol import Engine
from connector.doctor.findings import Finding
from connector.models.encoder import Encoder
from connector.rerankers.protocol import Reranker, RerankerInfo
from connector.search.run import share_before_fields
from connector.settings.load import LoadedSettings
from connector.settings.sections import RerankerSettings, Settings
from connector.settings.warnings import find_warnings
from connector.types import SearchResponse

SUPPORTED = {"elasticsearch": ((8, 19), (10, 0)), "opensearch": ((2, 19), (4, 0))}  # from, and before
QUERIES = 5
PAIRS = 16
PASSAGE_WORDS = (20, 180)  # of a passage: from, to
TEXT = (
    "the order was sent back to the warehouse in the north after a customer had found that its sensor reported wrong "
    "values during the night shift and support could not see any reason why the gateway lost its connection twice each "
    "week until an engineer replaced the power supply and updated the firmware as the guide for partners recommends"
)
WORD = re.compile(r"[^\W_]{3,}")


def judge_settings(loaded: LoadedSettings) -> list[Finding]:
    """What the settings themselves give reason to say."""
    warnings = find_warnings(loaded)
    where = f"{loaded.file} and the environment" if loaded.file else "the environment; there is no connector.yaml here"
    if not warnings:
        return [Finding("settings", "ok", f"nothing is wrong in {where}")]
    return [
        Finding(
            "settings",
            "warn",
            f"{warning.path}{f' ({warning.origin})' if warning.origin else ''}: {warning.seen}",
            warning.advice,
        )
        for warning in warnings
    ]


def judge_engine(engine: Engine, url: str) -> Finding:
    """Whether the engine's version is one that the connector is tested with."""
    seen, facts = f"{engine} at {url}", {"engine": engine.kind, "version": engine.version}
    if engine.kind not in SUPPORTED:
        return Finding("cluster", "ok", seen, facts=facts)
    first, end = SUPPORTED[engine.kind]
    versions = f"{first[0]}.{first[1]} and newer, before {end[0]}"
    found = re.match(r"(\d+)\.(\d+)", engine.version)
    if not found:
        advice = "its version is not shown to these credentials, which the privilege to monitor would change"
        return Finding("cluster", "ok", f"{seen}; {advice}", facts=facts)
    if not first <= (int(found[1]), int(found[2])) < end:
        return Finding("cluster", "warn", seen, f"{engine.kind} {versions} is what the connector is tested with", facts)
    return Finding("cluster", "ok", seen, facts=facts)


def time_queries(encoder: Encoder, load_s: float) -> Finding:
    """What the encoder makes, and the milliseconds that a query takes; blocks while it encodes."""
    took_ms = []
    for number in range(QUERIES):
        started = time.perf_counter()
        encoder.encode_query(f"how long does the warranty of gateway {number} last")
        took_ms.append((time.perf_counter() - started) * 1000)
    query_ms = statistics.median(took_ms[1:])
    facts = {"fingerprint": str(encoder.fingerprint), "dims": encoder.fingerprint.dims, "load_s": round(load_s, 2),
             "first_query_ms": round(took_ms[0], 1), "query_ms": round(query_ms, 1)}  # fmt: skip
    seen = f"{encoder.fingerprint}, loaded in {load_s:.1f} s"
    seen += f"; a query takes {query_ms:.0f} ms, the first {took_ms[0]:.0f} ms"
    return Finding("encoder", "ok", seen, facts=facts)


def describe_reranker(name: str, info: RerankerInfo, given: RerankerSettings) -> Finding:
    facts = {"kind": info.kind, "model": info.model, "fingerprint": info.fingerprint}
    where = f"at {given.url}" if given.kind == "worker" else f"by the plug-in {given.kind}"
    seen = f"ready {where}: {info.model or 'a model without a name'} ({info.kind})"
    return Finding(f"reranker {name}", "ok", seen, facts=facts)


async def time_pairs(reranker: Reranker, name: str, settings: Settings, *, timeout_s: float) -> Finding:
    """How many pairs a reranker scores in a second, and whether that does for the windows of its stages. Raises
    WorkerError.

    The passages are new in every run: a worker remembers those that it has seen."""
    chance = random.Random()
    passages = [" ".join(chance.choices(TEXT.split(), k=chance.randint(*PASSAGE_WORDS))) for _ in range(PAIRS)]
    started = time.perf_counter()
    await reranker.score("why did the gateway lose its connection", passages, timeout_s=timeout_s)
    return judge_speed(name, PAIRS / (time.perf_counter() - started), settings)


def judge_speed(name: str, pairs_per_s: float, settings: Settings) -> Finding:
    """Whether a window of new passages, of each stage that uses the reranker, is scored within the deadline of a
    search."""
    stages, deadline_s = settings.search.rerank, settings.search.deadline_s
    window = sum(min(stage.window * stage.passages, stage.max_pairs) for stage in stages if stage.reranker == name)
    needed_s = window / pairs_per_s
    facts = {"pairs_per_s": round(pairs_per_s, 1), "window_pairs": window, "window_s": round(needed_s, 2)}
    seen = f"{pairs_per_s:,.0f} pairs a second; a window of {window} new passages takes up to {needed_s:.1f} s"
    if needed_s > deadline_s * share_before_fields(deadline_s):
        advice = (
            f"more than search.deadline_s ({deadline_s:g} s) leaves: lower window or passages of the stage in "
            "search.rerank, raise the deadline, or give the worker more cores or a GPU"
        )
        return Finding(f"speed of {name}", "warn", seen, advice, facts)
    return Finding(f"speed of {name}", "ok", seen, facts=facts)


def choose_words(text: str, count: int = 4) -> str:
    """The longest words near the start of a text, as a query that finds it again; empty where it has no words."""
    words = dict.fromkeys(WORD.findall(text[:2_000]))
    return " ".join(sorted(words, key=len, reverse=True)[:count])


def judge_response(response: SearchResponse, settings: Settings, *, dense: bool) -> Finding:
    """Whether a query with words of the index's own went through every stage."""
    stages = ", ".join(f"{stage} {took:.0f}" for stage, took in response.took_ms.items() if stage != "total")
    total = response.took_ms["total"]
    seen = f"{len(response.hits)} hits for words of one of its documents in {total:.0f} ms ({stages})"
    facts = {"hits": len(response.hits), "took_ms": dict(response.took_ms),
             "degraded": [noted.stage for noted in response.degraded]}  # fmt: skip
    legs = [name for name, leg in settings.search.legs.items() if dense or leg.kind != "dense"]
    missing = [leg for leg in legs if not response.rankings.get(leg)]
    if response.degraded:
        seen += "; degraded: " + "; ".join(f"{noted.stage}: {noted.reason}" for noted in response.degraded)
        advice = "see what the checks of that part say, or raise search.deadline_s"
        return Finding("query", "fail" if missing else "warn", seen, advice, facts)
    if missing:
        advice = "compare the index's analyzer and fields with what was ingested: connector index show"
        return Finding("query", "fail", f"{seen}; the {missing[0]} leg found nothing", advice, facts)
    return Finding("query", "ok", seen, facts=facts)
