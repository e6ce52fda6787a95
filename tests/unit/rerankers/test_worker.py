"""The worker's client: scores in order, and each failure as an error of ours."""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.parts import OverlapScorer, serving, wait_until
from support.runs.effort import tries
from support.servers.answering import Answering

from connector.errors import WorkerError
from connector.rerankers.protocol import RerankerInfo
from connector.rerankers.worker import WorkerClient, _read_scores
from connector.settings.sections import WorkerSettings
from connector.worker.app import create_app

GOOD = [{"index": 1, "score": 2.5}, {"index": 0, "score": -1}]


async def test_scores_come_in_the_order_of_the_passages(client: WorkerClient, server: Answering) -> None:
    server.set(GOOD, headers={"x-truncated": "query,1", "x-reranker-kind": "late-interaction"})

    scores = await client.score("q", ["a", "b"], weights=[(0, 1, 0.5)], timeout_s=60)

    assert scores.values.tolist() == [-1.0, 2.5]
    assert (scores.truncated, scores.kind) == ({1}, "late-interaction")
    assert server.asked == [
        ("POST", "/rerank", {"query": "q", "texts": ["a", "b"], "raw_scores": True, "query_weights": [[0, 1, 0.5]]})
    ]


async def test_a_server_that_is_not_ours_counts_as_a_cross_encoder(client: WorkerClient, server: Answering) -> None:
    server.set(GOOD)

    scores = await client.score("q", ["a", "b"], timeout_s=60)

    assert (scores.kind, scores.truncated) == ("cross-encoder", frozenset())
    assert "query_weights" not in server.asked[0][2]


BAD_REPLIES: dict[str, Any] = {
    "nothing": b"",
    "html": b"<html>nginx</html>",
    "not utf-8": b'[{"index": 0, "score": "\xff"}]',
    "deep": b"[" * 100_000,
    "no list": {"results": GOOD},
    "null": None,
    "too few": GOOD[:1],
    "too many": [*GOOD, {"index": 1, "score": 1.0}],
    "no items": [1, 2],
    "NaN": b'[{"index": 0, "score": NaN}, {"index": 1, "score": 1.0}]',
    "infinite": b'[{"index": 0, "score": 1e999}, {"index": 1, "score": 1.0}]',
    "beyond float32": [{"index": 0, "score": 1e300}, {"index": 1, "score": 1.0}],
    "a huge integer": [{"index": 0, "score": 10**400}, {"index": 1, "score": 1.0}],
    "text for a score": [{"index": 0, "score": "1.0"}, {"index": 1, "score": 1.0}],
    "true for a score": [{"index": 0, "score": True}, {"index": 1, "score": 1.0}],
    "no score": [{"index": 0}, {"index": 1, "score": 1.0}],
    "an index twice": [{"index": 1, "score": 1.0}, {"index": 1, "score": 1.0}],
    "an index beyond": [{"index": 0, "score": 1.0}, {"index": 2, "score": 1.0}],
    "an index below": [{"index": 0, "score": 1.0}, {"index": -1, "score": 1.0}],
    "a float for an index": [{"index": 0.0, "score": 1.0}, {"index": 1, "score": 1.0}],
    "true for an index": [{"index": 0, "score": 1.0}, {"index": True, "score": 1.0}],
}


@pytest.mark.parametrize("name", BAD_REPLIES)
async def test_an_answer_that_cannot_be_right_is_an_error(client: WorkerClient, server: Answering, name: str) -> None:
    server.set(BAD_REPLIES[name])

    with pytest.raises(WorkerError):
        await client.score("q", ["a", "b"], timeout_s=60)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"Internal Server Error", r"HTTP 500\): Internal Server Error"),
        (503, {"error": "still loading", "error_type": "unhealthy"}, r"HTTP 503\): still loading"),
        (429, {"message": "too many requests"}, r"HTTP 429\): too many requests"),
        (302, b"", r"HTTP 302"),
        (204, b"", r"HTTP 204"),
        (502, b"\xff\xfe", r"HTTP 502"),
        (500, [1], r"HTTP 500\): \[1\]"),
        (500, b"[" * 100_000, r"HTTP 500"),
    ],
)
async def test_a_refusal_is_told_in_the_workers_words(
    client: WorkerClient, server: Answering, status: int, body: Any, words: str
) -> None:
    server.set(body, status=status)

    with pytest.raises(WorkerError, match=words) as caught:
        await client.score("q", ["a", "b"], timeout_s=60)

    assert len(str(caught.value)) < 600


async def test_a_late_answer_is_an_error(client: WorkerClient, server: Answering) -> None:
    server.set(GOOD, pause_s=1.0)

    with pytest.raises(WorkerError, match=r"did not answer within 0\.05 s"):
        await client.score("q", ["a", "b"], timeout_s=0.05)


async def test_no_time_left_is_an_error(client: WorkerClient, server: Answering) -> None:
    server.set(GOOD, pause_s=0.5)

    with pytest.raises(WorkerError, match="did not answer within"):
        await client.score("q", ["a", "b"], timeout_s=-1.0)


async def test_no_worker_says_how_to_start_one() -> None:
    client = WorkerClient("http://127.0.0.1:9")

    with pytest.raises(WorkerError, match=r"no worker at http://127\.0\.0\.1:9; start one with: connector worker"):
        await client.score("q", ["a"], timeout_s=60)


@pytest.mark.parametrize("url", ["not a url", "ftp://host", "http://[::1", "http://"])
async def test_a_url_that_is_none_is_a_worker_error(url: str) -> None:
    client = WorkerClient(url)

    with pytest.raises(WorkerError):
        await client.score("q", ["a"], timeout_s=60)


async def test_a_connection_that_breaks_off_is_an_error() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    client = WorkerClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    with pytest.raises(WorkerError, match="broke off"):
        await client.score("q", ["a"], timeout_s=60)
    await client.close()
    server.close()


async def test_a_body_that_is_no_gzip_is_an_error(client: WorkerClient, server: Answering) -> None:
    server.set(gzip.compress(b"x" * 99)[:20] + b"junk", headers={"content-encoding": "gzip"})

    with pytest.raises(WorkerError):
        await client.score("q", ["a", "b"], timeout_s=60)


async def test_text_that_is_no_text_is_a_worker_error(client: WorkerClient, server: Answering) -> None:
    server.set(GOOD)

    with pytest.raises(WorkerError):
        await client.score("\ud800", ["a", "b"], timeout_s=60)


async def test_a_worker_is_asked_what_it_is_once(client: WorkerClient, server: Answering) -> None:
    server.set({"kind": "late-interaction", "model_id": "m", "fingerprint": "f"})

    infos = [await client.info(timeout_s=60) for _ in range(3)]

    assert infos == [RerankerInfo("late-interaction", "m", "f")] * 3
    assert [request[:2] for request in server.asked] == [("GET", "/info")]


async def test_info_of_another_server_is_read_as_far_as_it_goes(client: WorkerClient, server: Answering) -> None:
    server.set({"model_id": "BAAI/bge-reranker"})

    assert await client.info(timeout_s=60) == RerankerInfo("cross-encoder", "BAAI/bge-reranker", "")


@pytest.mark.parametrize("body", [b"", [1], b"<html>"])
async def test_info_that_is_none_is_an_error_and_is_not_remembered(
    client: WorkerClient, server: Answering, body: Any
) -> None:
    server.set(body)
    with pytest.raises(WorkerError, match=r"is a (rerank )?worker running there"):
        await client.info(timeout_s=60)
    server.set({"kind": "cross-encoder"})

    assert (await client.info(timeout_s=60)).kind == "cross-encoder"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["index", "score", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=tries(100))
@given(json_values, st.integers(0, 3), st.booleans())
def test_any_json_is_scores_or_a_worker_error(body: Any, count: int, partial: bool) -> None:
    try:
        values = _read_scores(body, count, "http://worker", partial=partial)
    except WorkerError:
        return
    assert values.shape == (count,)
    assert np.isfinite(values).sum() == len(body)
    assert partial or len(body) == count


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=9).flatmap(
        lambda values: st.tuples(st.just(values), st.permutations(range(len(values))))
    )
)
def test_scores_in_any_order_find_their_passages(pair: tuple[list[float], list[int]]) -> None:
    values, order = pair

    read = _read_scores(
        [{"index": index, "score": values[index]} for index in order], len(values), "http://worker", partial=False
    )

    assert read.tolist() == values


async def test_what_was_not_scored_in_time_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.rerankers.worker.BUDGET_SHARE", 0.005)  # the way back may take long
    steps = threading.Semaphore(0)
    scorer = OverlapScorer()
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        client = WorkerClient(url)
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        scorer.before_batch = lambda: steps.acquire(timeout=120)
        steps.release(2)
        scores = await client.score("red", ["red 1", "blue 2", "red 3"], timeout_s=120)
        steps.release(99)
        monkeypatch.undo()
        whole = await client.score("red", ["red 1", "blue 2", "red 3"], timeout_s=120)
        await client.close()

    scored = 3 - scores.unscored  # two, unless the machine stood still meanwhile
    assert scored <= 2
    assert scores.values[:scored].tolist() == [1.0, 0.0][:scored]
    assert np.isnan(scores.values[scored:]).all()
    assert whole.values.tolist() == [1.0, 0.0, 1.0]
    assert whole.unscored == 0


@pytest.mark.parametrize("timeout_s", [120.0, 1e300])
async def test_more_words_and_more_time_than_the_worker_takes_are_cut(timeout_s: float) -> None:
    """The weights of a long query are more than a model reads; a deadline without end is no number of milliseconds."""
    weights = [(at, at + 1, 1.0) for at in range(10_000)]
    with serving(create_app(OverlapScorer, WorkerSettings())) as url:
        wait_until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        client = WorkerClient(url)
        scores = await client.score("fish " * 2_000, ["fish"], weights=weights, timeout_s=timeout_s)
        await client.close()

    assert scores.values.tolist() == [1.0]


async def test_client_and_worker_understand_each_other() -> None:
    scorer = OverlapScorer()
    with serving(create_app(lambda: scorer, WorkerSettings())) as url:
        client = WorkerClient(url)
        while True:
            try:
                info = await client.info(timeout_s=60)
                break
            except WorkerError:
                await asyncio.sleep(0.02)
        scores = await client.score("red fish", ["blue", "é red", "x " * 900], weights=[(0, 3, 1.0)], timeout_s=60)
        await client.close()

    assert info == RerankerInfo("cross-encoder", "overlap", "overlap@1")
    assert (scores.values.tolist(), scores.truncated) == ([0.0, 0.5, 0.0], {2})
    assert scorer.weights == [(0, 3, 1.0)]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"data": [{"id": "a", "task": "rerank"}, {"id": "e", "task": "embed"}, {"id": "of-vllm"}]}, ("a", "of-vllm")),
        ({"data": "none"}, ()),
        ([1], ()),
    ],
)
async def test_a_worker_is_asked_which_rerankers_it_offers(
    client: WorkerClient, server: Answering, body: Any, names: tuple[str, ...]
) -> None:
    server.set(body)

    assert await client.rerankers(timeout_s=60) == names
    assert server.asked[-1][:2] == ("GET", "/v1/models")


async def test_a_server_without_a_list_offers_no_rerankers(client: WorkerClient, server: Answering) -> None:
    server.set({"detail": "Not Found"}, status=404)

    assert await client.rerankers(timeout_s=60) == ()
