"""The commands as a user runs them: what they print, and their exit codes."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from support.programs.command import UNHURRIED, Launcher, error_line, run

from connector.remote.process import WorkerProcess
from connector.settings.sections import ClusterSettings

DOCUMENTS = [
    {"_id": "deal", "title": "Deal registration", "text": "A registered deal lasts 90 days.", "tier": "tier-2"},
    {"_id": "cold", "title": "Cold rooms", "text": "A cold room is checked twice a day.", "tier": "tier-1"},
    {"_id": "codes", "title": "Error codes", "text": "FL-2207 means that the battery is low."},
]


@pytest.fixture(scope="module")
def folder(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and the store that it was ingested into."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "documents.jsonl").write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    done = launcher.run("ingest", "documents.jsonl", cwd=folder)
    assert done.code == 0, done.stderr
    return folder


def test_queries_come_from_stdin_and_each_gives_a_line(folder: Path) -> None:
    done = run("search", "-", "--no-rerank", "--json", *UNHURRIED, cwd=folder, stdin="registered deal\n\ncold room\n")
    found = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.code == 0, done.stderr
    assert [(answer["query"], answer["hits"][0]["doc_id"]) for answer in found] == [
        ("registered deal", "deal"),
        ("cold room", "cold"),
    ]
    assert "Traceback" not in done.stderr


def test_the_version_is_printed(launcher: Launcher, tmp_path: Path) -> None:
    assert launcher.run("--version", cwd=tmp_path).stdout.strip() == version("hybrid-search-connector")


@pytest.mark.live
def test_an_index_that_an_engine_lacks_is_named_in_one_line(
    launcher: Launcher, engine: ClusterSettings, tmp_path: Path
) -> None:
    for arguments in (("search", "deal"), ("index", "show"), ("index", "drop", "--yes")):
        done = launcher.run(*arguments, "--cluster", engine.url, "--index", "test-nowhere", cwd=tmp_path)

        assert error_line(done).startswith(f"error: no index 'test-nowhere' at {engine.url}; create it with")


def test_what_is_too_long_for_the_name_of_a_file_is_told_in_one_line(launcher: Launcher, tmp_path: Path) -> None:
    words, source = "how long is a registered deal kept? " * 10, tmp_path / f"{'a' * 240}.jsonl"
    source.write_text('{"_id": "1", "text": "A deal."}\n')
    for command in (("eval", words), ("judge", "status", words), ("model", "export", words)):
        assert "cannot be a file (File name too long); give the name of one" in error_line(
            launcher.run(*command, cwd=tmp_path)
        )

    done = launcher.run("ingest", source.name, "--cluster", "embedded:store", "--index", "i", cwd=tmp_path)

    assert "failed documents cannot be kept in i-aaa" in error_line(done)
    assert "(File name too long); name another file: --rejects" in error_line(done)


def test_the_same_job_again_writes_nothing(launcher: Launcher, folder: Path) -> None:
    done = launcher.run("ingest", "documents.jsonl", "--json", cwd=folder)
    counts = json.loads(done.stdout)["counts"]

    assert done.code == 0
    assert (counts["read"], counts["written"], counts["unchanged"]) == (3, 0, 3)


def test_a_job_with_a_bad_line_keeps_it_and_exits_with_1(launcher: Launcher, tmp_path: Path) -> None:
    lines = [json.dumps(DOCUMENTS[0]), "{broken", json.dumps({"_id": "empty", "title": "", "text": ""})]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines))

    done = launcher.run("ingest", "mixed.jsonl", cwd=tmp_path)

    rejected = [
        json.loads(line) for line in (tmp_path / "documents-mixed.jsonl.rejects.jsonl").read_text().splitlines()
    ]
    assert done.code == 1
    assert [reject["origin"] for reject in rejected] == ["mixed.jsonl:2", "mixed.jsonl:3"]
    assert rejected[0]["raw"].strip() == "{broken"
    assert rejected[1]["document"]["_id"] == "empty"
    assert "2 documents failed" in done.stderr


def test_search_prints_one_json_object_per_query(launcher: Launcher, folder: Path, worker: WorkerProcess) -> None:
    arguments = ("how long does a registered deal last", "--json", "-k", "2", "--worker", worker.url, *UNHURRIED)
    done = launcher.run("search", *arguments, cwd=folder)
    found = json.loads(done.stdout)

    assert done.code == 0
    assert set(found) == {"query", "hits", "degraded", "took_ms", "stages"}
    assert [set(hit) for hit in found["hits"]] == [
        {"doc_id", "score", "rank", "stage", "fields", "passage", "explain", "address"}
    ] * 2
    assert found["hits"][0]["doc_id"] == "deal"
    assert found["hits"][0]["stage"] == "local"
    assert found["degraded"] == []
    assert {"lexical", "dense", "fuse", "local", "total"} <= set(found["took_ms"])


def test_pages_hold_still_from_command_to_command(launcher: Launcher, folder: Path) -> None:
    asked, key = ("search", "a cold room, a deal", "--no-rerank", "-k", "1", *UNHURRIED), "a secret of the tests"
    found, cursor = [], "first"
    while cursor:
        done = launcher.run(*asked, "--json", "--cursor", cursor, cwd=folder, CONNECTOR_SEARCH_CURSOR_KEY=key)
        assert done.code == 0, done.stderr
        page = json.loads(done.stdout)
        found += [hit["doc_id"] for hit in page["hits"]]
        cursor = page.get("cursor")
    paged = launcher.run(*asked, "--cursor", "first", cwd=folder, CONNECTOR_SEARCH_CURSOR_KEY=key)
    other = launcher.run(*asked, "--cursor", "x", cwd=folder, CONNECTOR_SEARCH_CURSOR_KEY=key)

    assert sorted(found) == ["codes", "cold", "deal"]
    assert "the next page: --cursor " in paged.stderr
    assert "none that was given out here" in error_line(other)


def test_a_search_without_its_worker_is_answered_and_says_so(launcher: Launcher, folder: Path) -> None:
    page = ("--worker", "http://127.0.0.1:1", "--highlight", "--total")
    done = launcher.run("search", "cold room", *page, *UNHURRIED, cwd=folder)

    assert done.code == 0
    assert "Cold rooms … A cold room is checked twice a day." in done.stdout
    assert "3 hits; the lexical query matches 1; milliseconds: " in done.stderr
    assert "degraded: local" in done.stderr
    assert "connector worker" in done.stderr


def test_a_filter_narrows_the_search(launcher: Launcher, folder: Path) -> None:
    done = launcher.run("search", "deal", "--no-rerank", "--json", "--filter", "tier=tier-1", *UNHURRIED, cwd=folder)

    assert [hit["doc_id"] for hit in json.loads(done.stdout)["hits"]] == ["cold"]


def test_an_index_is_created_shown_and_dropped(launcher: Launcher, tmp_path: Path) -> None:
    named = ("--index", "made", "--set", "fields.text={title: 2, body: 1}", "--set", "fields.metadata={price: number}")

    created = launcher.run("index", "create", *named, cwd=tmp_path)
    facts = json.loads(launcher.run("index", "show", "-i", "made", "--json", cwd=tmp_path).stdout)
    table = launcher.run("index", "show", "-i", "made", cwd=tmp_path)
    refused = launcher.run("index", "drop", "-i", "made", cwd=tmp_path)
    dropped = launcher.run("index", "drop", "-i", "made", "--yes", cwd=tmp_path)
    missing = launcher.run("index", "show", "-i", "made", cwd=tmp_path)

    assert created.code == 0
    assert (facts["documents"], facts["text"], facts["metadata"]) == (
        0,
        {"title": 2.0, "body": 1.0},
        {"price": "number"},
    )
    rows = dict(map(str.strip, line.split("│")) for line in table.stdout.splitlines())
    assert (rows["documents"], rows["text"], rows["metadata"]) == ("0", "title=2.0, body=1.0", "price=number")
    assert set(rows) == set(facts)
    assert "--yes" in error_line(refused)
    assert dropped.code == 0
    assert "connector index create" in error_line(missing)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "nowhere.jsonl"), "there is no 'nowhere.jsonl'"),
        (("search", "deal", "--filter", "teir=tier-1"), "did you mean 'tier'"),
        (("search", "   "), "the query is empty"),
        (("search", "--lexical-query", "none.json"), "cannot read the lexical query none.json: No such file"),
        (("search", "--lexical-query", "documents.jsonl"), "the lexical query documents.jsonl is not JSON"),
        (("search", "deal", "--set", "serach.k=3"), "did you mean"),
        (("search", "deal", "-k", "80"), "do not fit together"),
        (("search", "deal", "--cursor", "first"), "--cursor needs a secret that signs cursors"),
        (("ingest", "documents.jsonl", "--text", "body"), "made with other fields"),
        (("search", "deal", "--set", "encoder.model=./no-model"), "there is no model folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_error_is_one_line_that_says_what_to_do(
    launcher: Launcher, folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in error_line(launcher.run(*arguments, cwd=folder))


@pytest.mark.parametrize("arguments", [("search", "deal"), ("ingest", "documents.jsonl")], ids=" ".join)
def test_a_cluster_that_is_away_is_worth_another_try(
    launcher: Launcher, folder: Path, arguments: tuple[str, ...]
) -> None:
    done = launcher.run(*arguments, "--cluster", "http://127.0.0.1:1", cwd=folder)

    assert "cannot reach http://127.0.0.1:1" in error_line(done, code=3)


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            ("ingest",),
            ("--cluster", "--index", "--id", "--text", "--metadata", "--delete-missing", "--rejects", "--json"),
        ),
        (("search",), ("--filter", "--no-rerank", "--worker", "--json", "-k")),
        (("worker",), ("--model", "--kind", "--host", "--port")),
        (("index", "drop"), ("--yes",)),
        (
            ("eval",),
            ("--pipelines", "--baseline", "--measures", "--segment-by", "--topics", "--out", "--html", "--json"),
        ),
        (("gate",), ("--baseline", "--write-baseline", "--max-drop", "--max-p95-ms", "--max-degraded")),
    ],
    ids=lambda value: " ".join(value),
)
def test_help_teaches(launcher: Launcher, folder: Path, command: tuple[str, ...], flags: tuple[str, ...]) -> None:
    done = launcher.run(*command, "--help", cwd=folder)

    assert done.code == 0
    assert [flag for flag in flags if flag not in done.stdout] == []
