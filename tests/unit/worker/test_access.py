"""Who may ask a worker: API keys, what is remembered for whom, TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.parts import OverlapScorer, serving
from support.worker.worker_app import LIST, wait_ready

from connector.errors import SettingsError, WorkerError
from connector.rerankers.worker import WorkerClient
from connector.settings.sections import Settings, WorkerSettings
from connector.tls import check_certificate
from connector.wiring import open_reranker
from connector.worker.app import create_app

ANN, BOB = "ann-1234567890", "bob-1234567890"
QUERY, TEXTS = "red fish", ["red fish", "blue bird"]


@pytest.fixture(scope="module")
def scorer() -> OverlapScorer:
    return OverlapScorer()


@pytest.fixture(scope="module")
def served(scorer: OverlapScorer) -> Iterator[str]:
    settings = WorkerSettings.model_validate({"api_keys": f"{ANN}\n{BOB}\n"})
    with serving(create_app(lambda: scorer, settings)) as url:
        yield wait_ready(url)


@pytest.fixture
def url(served: str, scorer: OverlapScorer) -> str:
    scorer.scored = 0
    return served


def ask(
    url: str, authorization: str | None, path: str = "/rerank", query: str = QUERY, **headers: str
) -> httpx.Response:
    if authorization is not None:
        headers["authorization"] = authorization
    return httpx.post(url + path, json={"query": query, LIST[path]: TEXTS}, headers=headers)


@pytest.mark.parametrize("authorization", [f"Bearer {ANN}", f"bearer {BOB}", f"BEARER  {ANN}"])
def test_a_key_opens(url: str, authorization: str) -> None:
    assert ask(url, authorization).status_code == 200


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {ANN}x", f"Bearer {ANN[:-1]}", f"Basic {ANN}", ANN]
)
@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_nothing_else_does(url: str, scorer: OverlapScorer, authorization: str | None, path: str) -> None:
    reply = ask(url, authorization, path)

    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer KEY" in str(reply.json())
    assert ANN not in reply.text
    assert scorer.scored == 0


def test_probes_and_scrapers_need_no_key(url: str) -> None:
    statuses = {path: httpx.get(url + path).status_code for path in ("/health", "/ready", "/metrics", "/info", "/docs")}

    assert statuses == {"/health": 200, "/ready": 200, "/metrics": 200, "/info": 401, "/docs": 401}


def test_what_was_scored_for_one_key_is_not_remembered_for_another(url: str, scorer: OverlapScorer) -> None:
    counts = []
    for key, scope in ((ANN, ""), (BOB, ""), (ANN, ""), (ANN, "a"), (BOB, "a"), (ANN, "a")):
        before = scorer.scored
        headers = {"x-cache-scope": scope} if scope else {}
        assert ask(url, f"Bearer {key}", query="of this test alone", **headers).status_code == 200
        counts.append(scorer.scored - before)

    assert counts == [2, 2, 0, 2, 2, 0]


async def test_the_query_layer_brings_its_key(url: str) -> None:
    settings = Settings.model_validate({"rerankers": {"local": {"url": url, "api_key": ANN}}})
    with_key, without = open_reranker(settings, "local"), WorkerClient(url)
    scores = await with_key.score(QUERY, TEXTS, timeout_s=120)
    info = await with_key.info(timeout_s=120)
    with pytest.raises(WorkerError, match=r"HTTP 401.*API keys"):
        await without.score(QUERY, ["red"], timeout_s=120)
    await with_key.close()
    await without.close()

    assert scores.values.tolist() == [1.0, 0.0]
    assert info.model == "overlap"


@pytest.mark.parametrize("given", [("a.pem", None), (None, "a.pem")])
def test_a_certificate_without_its_key_is_refused(given: tuple[str | None, str | None]) -> None:
    with pytest.raises(SettingsError, match=r"worker\.tls_cert and worker\.tls_key belong together"):
        check_certificate(*given, section="worker")


def test_a_certificate_that_is_none_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"worker.tls_cert .* are no certificate and its key"):
        check_certificate(str(tmp_path / "cert.pem"), str(tmp_path / "cert.pem"), section="worker")
    with pytest.raises(SettingsError, match=r"worker.tls_cert .* cannot be read \(No such file"):
        check_certificate(str(tmp_path / "absent.pem"), str(tmp_path / "absent.pem"), section="worker")


async def test_a_ca_that_is_none_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"rerankers.local.ca_cert .* cannot be read .*; name the PEM file of the local's"
    ):
        WorkerClient("https://localhost:1", ca_cert=str(tmp_path / "absent.pem"))
