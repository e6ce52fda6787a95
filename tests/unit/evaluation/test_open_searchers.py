"""What several searches have in common is opened once, workers score anew, and documents are looked for."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from support.evaluation.evaluations import collection
from support.parts import HashEncoder, OverlapScorer, schema_of, serving, wait_until

from connector.clusters.embedded.cluster import EmbeddedCluster
from connector.errors import SourceError
from connector.evaluation import searchers
from connector.evaluation.searchers import open_searchers
from connector.settings.sections import Settings, WorkerSettings
from connector.types import Document, IndexedDocument, Passage
from connector.worker.app import create_app

ENCODER = HashEncoder()


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """A store with the indexes `docs` and `other`, a document in each."""
    cluster = await EmbeddedCluster.open(tmp_path)
    for name, doc_id in (("docs", "x"), ("other", "y")):
        index = await cluster.create_index(name, schema_of(ENCODER))
        text = Document(doc_id, {"title": "red fish", "text": "red fish"})
        await index.write([IndexedDocument(text, "h", (Passage(doc_id, 0, "red fish"),), ENCODER.encode(["red fish"]))])
        await index.finish()
    await cluster.close()
    return f"embedded:{tmp_path}"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that an encoder was loaded for."""
    asked: list[Settings] = []

    def load(settings: Settings) -> HashEncoder:
        asked.append(settings)
        return ENCODER

    monkeypatch.setattr(searchers, "load_encoder", load)
    return asked


def settings(url: str, **sections: dict[str, object]) -> Settings:
    given = {"cluster": {"url": url}, "index": {"name": "docs"}} | sections
    return Settings.model_validate(given)


async def test_what_is_the_same_is_opened_once(url: str, loaded: list[Settings]) -> None:
    asked = [
        settings(url),
        settings(url, search={"fusion": {"kind": "linear"}}),
        settings(url, index={"name": "other"}),
        settings(url, encoder={"device": "cpu"}),
    ]
    async with open_searchers(asked) as (rrf, linear, other, encoder):
        assert rrf.cluster is linear.cluster is other.cluster is encoder.cluster
        assert rrf.index is linear.index is encoder.index
        assert other.index.name == "other"
        assert len({id(opened.searcher) for opened in (rrf, linear, other, encoder)}) == 4
    assert [settings_used.encoder.device for settings_used in loaded] == [None, "cpu"]


@pytest.mark.parametrize("reuse_scores", [False, True])
async def test_workers_score_anew_unless_they_may_remember(
    url: str, loaded: list[Settings], reuse_scores: bool
) -> None:
    with serving(create_app(OverlapScorer, WorkerSettings())) as worker_url:
        wait_until(lambda: httpx.get(f"{worker_url}/ready").status_code == 200)
        async with open_searchers(
            [settings(url, rerankers={"local": {"url": worker_url}})], reuse_scores=reuse_scores
        ) as (searcher,):
            for _ in range(3):
                assert await searcher.warm_up(rerank=True) == []
        async with httpx.AsyncClient() as client:
            counted = (await client.get(f"{worker_url}/metrics")).text

    scored = 1 if reuse_scores else 3
    assert re.search(r'pairs_total\{source="model"\} ([0-9.]+)', counted)[1] == f"{scored}.0"


async def test_the_share_of_relevant_documents_that_an_index_holds(url: str, loaded: list[Settings]) -> None:
    async with open_searchers([settings(url)]) as (searcher,):
        assert await searcher.share_found(collection({"q": {"x": 1, "y": 1, "z": 0}})) == 0.5
        assert await searcher.share_found(collection({"q": {"z": 0}})) == 1.0
        with pytest.raises(SourceError, match=r"'docs' holds none of .* connector ingest FOLDER --index docs"):
            await searcher.share_found(collection({"q": {"y": 1, "x": 0}}))


async def test_a_search_without_its_worker_says_so_before_all_others(url: str, loaded: list[Settings]) -> None:
    away = settings(url, rerankers={"local": {"url": "http://127.0.0.1:1"}})
    async with open_searchers([away]) as (searcher,):
        notes = await searcher.warm_up(rerank=True)
        described = await searcher.describe()

    assert len(notes) == 1
    assert notes[0].startswith("local: no worker at http://127.0.0.1:1")
    assert described["documents"] == 1
    assert "no worker at http://127.0.0.1:1" in described["rerankers"]["local"]
