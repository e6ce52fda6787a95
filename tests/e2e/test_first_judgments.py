"""docs/tutorial/first-judgments.md, command by command, on a slice of the example corpus: from a log to figures. Grades
of a person are the corpus's own, and the model is a strict endpoint that knows them too."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.evaluation.slices import CORPUS, queries_of, rows, write_slice
from support.programs.command import Finished, Launcher
from support.repository.pages import ROOT, commands
from support.servers.chat_server import chat_server

from connector.judging.folder import JudgingFolder
from connector.judging.grades import Grade
from connector.judging.resolve import resolve, write_qrels
from connector.remote.process import WorkerProcess
from connector.text import normalise_text

PAGE = "docs/tutorial/first-judgments.md"
SEARCHES = ROOT / "examples" / "searches.csv"
KINDS = ("code", "paraphrase", "negation")
CHARS = 120  # of a document, so that it is one passage
SMALL = ("--set", "search.rerank={window: 10}", "--set", "search.depth=20", "--set", "search.deadline_s=60")


@dataclass
class Afternoon:
    """The folder that the page's commands run in, and what each of them said."""

    folder: Path
    launcher: Launcher
    worker: WorkerProcess
    done: dict[str, Finished] = field(default_factory=dict)

    @property
    def judged(self) -> JudgingFolder:
        return JudgingFolder(self.folder / "judged")

    def run(self, command: str, *flags: str) -> Finished:
        """A command as the page has it, with the slice in the place of the corpus; its further flags come last."""
        words = [NAMES.get(word, word) for word in words_of(command)]
        done = self.launcher.run(*words, *flags, cwd=self.folder)
        assert done.code == 0, done.stderr
        self.done[command] = done
        return done


NAMES = {"examples/corpus": "slice", "examples/searches.csv": "searches.csv"}


def words_of(command: str) -> list[str]:
    """The words of the page's command of that name, without `connector`."""
    found = [words[1:] for place, words in commands() if place.startswith(PAGE) and words[0] == "connector"]
    return next(words for words in found if " ".join(words).startswith(command))


def truth() -> dict[tuple[str, str], int]:
    """The corpus's grades by text of the query and id of the document."""
    texts = {query["_id"]: spelled(query["text"]) for query in rows("queries.jsonl")}
    lines = [line.split("\t") for line in (CORPUS / "qrels.tsv").read_text().splitlines()[1:]]
    return {(texts[query_id], doc_id): int(grade) for query_id, doc_id, grade in lines}


def spelled(text: str) -> str:
    return " ".join(normalise_text(text).lower().rstrip(" ?.!").split())


@pytest.fixture(scope="module")
def afternoon(launcher: Launcher, worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Afternoon:
    """The page up to its pool."""
    folder = tmp_path_factory.mktemp("afternoon")
    queries = queries_of(KINDS, 4)
    write_slice(folder / "slice", queries, chars=CHARS, least_grade=1)
    kept = {spelled(query["text"]) for query in queries}
    with SEARCHES.open() as read, (folder / "searches.csv").open("w") as written:
        csv.writer(written).writerows(row for row in csv.reader(read) if row[0] == "query" or spelled(row[0]) in kept)
    began = Afternoon(folder, launcher, worker)
    began.run("ingest")
    began.run("judge queries")
    began.run("judge pool", "--worker", worker.url, *SMALL)
    return began


def judge(afternoon: Afternoon, share: int) -> None:
    """What a person makes of one pair in so many."""
    texts = {query.query_id: spelled(query.text) for query in afternoon.judged.queries()}
    known, log = truth(), afternoon.judged.grades()
    log.extend(
        Grade(*pair.key, known.get((texts[pair.query_id], pair.doc_id), 0), "anna")
        for pair in afternoon.judged.pairs()[::share]
    )
    write_qrels(afternoon.judged.qrels_file, resolve(log.read()).qrels)


def test_the_page_leads_from_a_log_to_figures(afternoon: Afternoon) -> None:
    assert len(afternoon.judged.queries()) >= 10
    assert set(afternoon.judged.runs()) == {"lexical", "reranked"}
    judge(afternoon, 2)
    ask_model(afternoon)
    status = afternoon.run("judge status").stdout
    evaluated = afternoon.run("eval", "--worker", afternoon.worker.url, *SMALL).stdout

    assert "queries for 0.05" in status
    assert "nDCG@10 against lexical: what" in status
    assert "kappa" in status
    assert "nDCG@10 by who judged" in evaluated
    figures = json.loads((afternoon.folder / "results" / "figures.json").read_text())
    assert set(figures["judges"]["by_kind"]) == {"person", "model"}
    assert figures["comparisons"]["nDCG@10"].keys() == {"reranked"}
    assert figures["unjudged"]["highest_grade"] == 3


def ask_model(afternoon: Afternoon) -> None:
    known = truth()
    passages = {
        "\n".join(str(value) for value in pair.fields.values() if str(value).strip()): pair.doc_id
        for pair in afternoon.judged.pairs()
    }

    def answer(query: str, passage: str) -> str:
        return f"##final score: {known.get((spelled(query), passages[passage]), 0)}"

    with chat_server(answer, model="qwen3:8b") as server:
        done = afternoon.run("judge llm", "--url", server.url, "--yes")

    assert "kappa 1.00" in done.stdout
