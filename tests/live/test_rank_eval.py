"""What `connector judge export --to rank-eval` writes, as an engine's own `_rank_eval` takes it: the same measures as
ours, where they are the same.

Of the engines that tests start, OpenSearch 3 alone has it: in the others it is a module that is not put there.
The body is one and the same for all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.indices.scratch import send_bulk, unique_name
from support.servers.running_engines import RunningEngines

from connector.evaluation.statistics.measures import measure
from connector.judging.folder import JudgingFolder
from connector.judging.formats.exporting import read_judgments, write_judgments
from connector.judging.grades import Grade
from connector.settings.sections import ClusterSettings
from connector.types import Hit

WORDS = ("amber", "birch", "cedar", "delta")
DOCUMENTS = 30
K = 5
GAINS = {grade: 2**grade - 1 for grade in range(4)}  # as the engines count grades


@pytest.fixture
def engine(engines: RunningEngines) -> ClusterSettings:
    return ClusterSettings(url=engines.url("os3"))


@pytest.fixture
def index(engine: ClusterSettings) -> Iterator[str]:
    """An index whose documents hold some of the words, each more than K of them."""
    random, name = np.random.default_rng(1), unique_name()
    lines: list[Any] = []
    for at in range(DOCUMENTS):
        words = random.choice(WORDS, size=int(random.integers(2, 9)))
        lines += [{"index": {"_id": f"d{at}"}}, {"title": f"page {at}", "text": " ".join(words)}]
    settings = {"settings": {"number_of_shards": 1}}
    httpx.put(f"{engine.url}/{name}", json=settings, timeout=60).raise_for_status()
    with httpx.Client(base_url=engine.url, timeout=60) as client:
        send_bulk(client, f"/{name}/_bulk?refresh=true", lines)
    yield name
    httpx.delete(f"{engine.url}/{name}", timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> JudgingFolder:
    """Each word is a query, and each document has a grade for each."""
    folder, random = JudgingFolder.make(tmp_path / "judging"), np.random.default_rng(2)
    folder.queries_file.write_text("".join(json.dumps({"_id": f"q-{word}", "text": word}) + "\n" for word in WORDS))
    folder.grades().extend(
        Grade(f"q-{word}", f"d{at}", int(random.integers(0, 4)), "anna") for word in WORDS for at in range(DOCUMENTS)
    )
    return folder


def test_the_engine_measures_what_we_measure(
    engine: ClusterSettings, index: str, folder: JudgingFolder, tmp_path: Path
) -> None:
    judgments = read_judgments(folder)
    written = write_judgments(judgments, "rank-eval", name="", index=index, template=None, fields=["title", "text"])
    body = json.loads(written.text)
    gain = evaluate(engine, index, body | {"metric": {"dcg": {"k": K, "normalize": True}}})
    precision = evaluate(engine, index, body | {"metric": {"precision": {"k": K, "relevant_rating_threshold": 2}}})
    runs = {query_id: ranking(details) for query_id, details in gain["details"].items()}
    ours = measure(runs, judgments.qrels, [f"nDCG(gains={GAINS})@{K}", f"P(rel=2)@{K}"])

    assert written.notes == ()
    assert gain["failures"] == precision["failures"] == {}
    assert {len(run) for run in runs.values()} == {K}
    for (name, values), theirs in zip(ours.items(), (gain, precision), strict=True):
        found = {query_id: details["metric_score"] for query_id, details in theirs["details"].items()}
        assert found == pytest.approx(values), name
        assert 0 < theirs["metric_score"] < 1


def evaluate(engine: ClusterSettings, index: str, body: Any) -> Any:
    reply = httpx.post(f"{engine.url}/{index}/_rank_eval", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def ranking(details: Any) -> tuple[Hit, ...]:
    return tuple(Hit(hit["hit"]["_id"], hit["hit"]["_score"]) for hit in details["hits"])
