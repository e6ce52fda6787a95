"""An ingest job as a scheduler runs it: signals, exit codes, reports, logs that machines read."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.programs.command import UNHURRIED, Launcher, Running, catches, error_line, flat

from connector.ingest.rejects import RejectsFile

ROWS = 3_000  # more than is written before a test that stands still for seconds sends its signal


def write_source(folder: Path, rows: int, *, words: int = 10) -> Path:
    source = folder / "rows.jsonl"
    text = " ".join(f"word{at}" for at in range(words))
    source.write_text("".join(json.dumps({"_id": f"d{at}", "text": f"{at} {text}"}) + "\n" for at in range(rows)))
    return source


def log_lines(stderr: str) -> list[dict[str, Any]]:
    """The objects on stderr, which holds nothing else."""
    return [json.loads(line) for line in stderr.splitlines()]


def end_once(running: Running, folder: Path, number: signal.Signals, reached: Callable[[], bool]) -> None:
    """Send the signal as soon as the moment is reached."""
    end = time.monotonic() + 120
    while not reached():
        assert not running.ended.done(), running.wait()
        assert time.monotonic() < end
        time.sleep(0.02)
    running.kill(number)


def writing(folder: Path) -> Callable[[], bool]:
    """Whether the job has begun to write into the store in the folder."""
    return lambda: any(folder.glob("connector-store/documents.lance/data/*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_that_is_told_to_end_writes_what_it_has_and_goes_on_the_next_time(
    launcher: Launcher, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write_source(tmp_path, ROWS)
    arguments = ("ingest", "rows.jsonl", "--report", "report.json", "--set", "ingest.group_documents=16")
    running = launcher.start(*arguments, cwd=tmp_path)
    end_once(running, tmp_path, number, writing(tmp_path))
    began = time.monotonic()
    done = running.wait()
    took_s = time.monotonic() - began
    first = json.loads((tmp_path / "report.json").read_text())
    source = write_source(tmp_path, 40)  # the rest of the long source is of no use to the test
    again = launcher.run("ingest", source.name, "--json", "--set", "ingest.group_documents=16", cwd=tmp_path)
    second = json.loads(again.stdout)

    assert done.code == code, done.stderr
    assert took_s < 120  # and not until all is written that could be
    assert first["exit_code"] == code
    assert first["stopped"] == f"{number.name} was received"
    assert 0 < first["counts"]["written"] < ROWS
    assert first["counts"]["failed"] == 0
    assert again.code == 0, again.stderr
    assert second["counts"]["unchanged"] == min(first["counts"]["written"], 40)
    assert second["counts"]["unchanged"] + second["counts"]["written"] == 40


def test_a_second_signal_ends_the_job_at_once(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, ROWS)
    running = launcher.start("ingest", "rows.jsonl", "--set", "ingest.group_documents=16", cwd=tmp_path)
    end_once(running, tmp_path, signal.SIGTERM, writing(tmp_path))
    time.sleep(0.3)
    running.kill(signal.SIGTERM)

    assert running.wait().code == 143


def test_a_job_ends_at_once_while_its_encoder_is_still_exported(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, 1)
    cache = tmp_path / "cache"
    running = launcher.start(
        *("ingest", "rows.jsonl", "--report", "report.json", "--delete-missing"),
        cwd=tmp_path,
        variables={"XDG_CACHE_HOME": str(cache), "CONNECTOR_ENCODER_BACKEND": "onnx"},
    )
    end_once(running, tmp_path, signal.SIGTERM, lambda: any(cache.rglob(".export-*")))
    done = running.wait()
    report = json.loads((tmp_path / "report.json").read_text())

    assert done.code == report["exit_code"] == 143, done.stderr
    assert report["stopped"] == report["kept_missing"] == "SIGTERM was received"
    assert report["counts"]["read"] == 0
    assert not list(cache.glob("*/graphs/*.onnx"))  # the export was not waited for
    assert not (tmp_path / "connector-store" / "documents.lance").exists()


def test_sigterm_ends_a_command_from_its_first_moment(launcher: Launcher, tmp_path: Path) -> None:
    """By a handler of ours: the default would not end the first process of a container."""
    running = launcher.start("worker", "--port", "0", cwd=tmp_path)
    end_once(running, tmp_path, signal.SIGTERM, lambda: catches(running.pid, signal.SIGTERM))

    assert running.wait().code == 143


def test_the_report_says_what_became_of_every_document(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, 5, words=20)
    with open(tmp_path / "rows.jsonl", "a") as file:
        file.write("{broken\n")
    done = launcher.run("ingest", "rows.jsonl", "--report", "report.json", "--json", cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())

    assert done.code == report["exit_code"] == 1
    assert report == json.loads(done.stdout)
    assert (report["source"], report["index"], report["cluster"]) == (
        "rows.jsonl",
        "documents",
        "embedded:./connector-store",
    )
    assert report["counts"] | {"progress": 1.0} == {
        "read": 6,
        "written": 5,
        "unchanged": 0,
        "failed": 1,
        "removed": 0,
        "passages": 5,
        "retried": 0,
        "progress": 1.0,
    }
    assert (report["unfinished"], report["stopped"]) == (0, None)
    assert (tmp_path / report["rejects"]).exists()
    assert datetime.fromisoformat(report["started"]).tzinfo is not None


def test_a_source_that_breaks_off_ends_a_job_early(launcher: Launcher, tmp_path: Path) -> None:
    whole = gzip.compress(write_source(tmp_path, 80).read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = launcher.run("ingest", "cut.jsonl.gz", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)

    assert (done.code, report["exit_code"], report["source_broke_off"]) == (3, 3, True)
    assert 0 < report["counts"]["written"] == report["counts"]["read"] < 80
    assert "error: the job stopped early: cannot read cut.jsonl.gz to its end" in flat(done.stderr)
    assert "run it again" not in done.stderr


def test_a_report_that_cannot_be_written_is_an_error(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, 1)
    done = launcher.run("ingest", "rows.jsonl", "--report", "nowhere/report.json", cwd=tmp_path)

    assert done.code == 2
    assert "nowhere/report.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_for_another_program_goes_where_the_output_goes(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, 1)
    (tmp_path / "out").symlink_to("/dev/stdout")
    done = launcher.run("ingest", "rows.jsonl", "--report", "out", cwd=tmp_path)
    report, end = json.JSONDecoder().raw_decode(done.stdout)

    assert report["counts"]["written"] == 1
    assert "written" in done.stdout[end:]  # the table
    assert (tmp_path / "out").is_symlink()


def test_a_job_logs_one_json_object_a_line(launcher: Launcher, tmp_path: Path) -> None:
    write_source(tmp_path, 5)
    done = launcher.run("ingest", "rows.jsonl", "--log-format", "json", cwd=tmp_path)
    lines = log_lines(done.stderr)

    assert done.code == 0
    assert done.stdout == ""
    assert all({"timestamp", "level", "logger", "message"} <= set(line) for line in lines)
    assert lines[-1]["message"] == "job ended with exit code 0"
    assert lines[-1]["counts"]["written"] == 5
    messages = [line["message"] for line in lines]
    assert messages[:2] == [
        "_id: id (a usual name of ids; 5 rows)",
        "text: text boost 1 (a usual name of texts; 5 rows)",
    ]
    assert "creating index documents" in messages[2]
    assert not any("word7" in json.dumps(line) for line in lines)  # no text of a document


def test_an_error_is_a_json_line_too(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run("ingest", "nowhere.jsonl", "--log-format", "json", cwd=tmp_path)
    (line,) = log_lines(done.stderr)

    assert done.code == 2
    assert line["level"] == "ERROR"
    assert "nowhere.jsonl" in line["message"]


CSV = "id,text,unit,price\n1,Pea soup,g,7\n2,Fish cake,kg,8.50\n"


def test_a_dry_run_says_what_a_job_would_do_and_leaves_nothing_behind(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "menu.csv").write_text(CSV)
    planned = launcher.run("ingest", "menu.csv", "--dry-run", cwd=tmp_path)
    described = json.loads(launcher.run("ingest", "menu.csv", "--dry-run", "--json", cwd=tmp_path).stdout)

    assert planned.code == 0, planned.stderr
    assert "called unit_" in planned.stdout
    assert {column["column"]: column["type"] for column in described["plan"]["columns"]} == {
        "id": None,
        "text": "boost 1",
        "unit": "keyword",
        "price": "number",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["menu.csv"]


def test_a_dry_run_of_rows_that_would_fail_ends_with_1(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "menu.csv").write_text(CSV + "2,Again,g,1\n")
    planned = launcher.run("ingest", "menu.csv", "--dry-run", cwd=tmp_path)

    assert planned.code == 1
    assert "menu.csv:4: its id '2' repeats" in planned.stdout
    reported = launcher.run("ingest", "menu.csv", "--dry-run", "--report", "report.json", cwd=tmp_path)
    assert "--dry-run makes no report" in error_line(reported)


def test_numbers_and_booleans_of_csv_are_filtered_as_such(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "rooms.csv").write_text("id,text,price,free\na,Room a,9,TRUE\nb,Room b,50,False\nc,Room c,120,true\n")
    launcher.run("ingest", "rooms.csv", cwd=tmp_path)

    def found(condition: str) -> set[str]:
        done = launcher.run("search", "room", "--no-rerank", "--json", "--filter", condition, *UNHURRIED, cwd=tmp_path)
        return {hit["doc_id"] for hit in json.loads(done.stdout)["hits"]}

    assert found("price>=50") == {"b", "c"}
    assert found("free=true") == {"a", "c"}


def test_a_column_that_was_renamed_or_is_not_used_is_named(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "menu.csv").write_text(CSV)
    first = launcher.run("ingest", "menu.csv", "--report", "report.json", cwd=tmp_path)
    (tmp_path / "menu.csv").write_text("id,text,unit,price,cook\n3,Flan,g,7,Ada\n")
    second = launcher.run("ingest", "menu.csv", cwd=tmp_path)

    assert json.loads((tmp_path / "report.json").read_text())["renamed"] == {"unit": "unit_"}
    assert "column 'unit' is called 'unit_'" in first.stderr
    assert "column 'cook' was not used, though 1 documents have a value in it" in second.stderr


@pytest.mark.parametrize("flag", ["--report", "--rejects"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_made(
    launcher: Launcher, tmp_path: Path, flag: str
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "text": "salt"}\n')

    done = launcher.run("ingest", "rows.jsonl", flag, "nowhere/file.json", cwd=tmp_path)

    assert done.code == 2
    assert "nowhere/file.json" in done.stderr
    assert launcher.run("index", "show", cwd=tmp_path).code == 2


def test_no_file_of_a_job_takes_the_place_of_another(launcher: Launcher, tmp_path: Path) -> None:
    rows = '{"id": 1, "text": "salt"}\n{broken\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "link").symlink_to("rows.jsonl")
    for source, flags, reason in (
        ("rows.jsonl", ("--rejects", "link"), "link is the source, and would be written over; name another file"),
        ("link", ("--report", "rows.jsonl"), "rows.jsonl is the source, and the report would take its place"),
        ("rows.jsonl", ("--rejects", "new", "--report", "./new"), "new is the file of what fails (--rejects), and the"),
    ):
        done = launcher.run("ingest", source, *flags, cwd=tmp_path)

        assert done.code == 2
        assert reason in error_line(done)
    assert (tmp_path / "rows.jsonl").read_text() == rows
    assert not (tmp_path / "new").exists()


def test_what_fails_goes_where_the_output_goes_and_nothing_is_written_over(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "text": "salt"}\n{broken\n{torn\n')
    done = launcher.run("ingest", "rows.jsonl", "--rejects", "/dev/stdout", "--json", cwd=tmp_path)
    broken, torn, report = map(json.loads, done.stdout.splitlines())

    assert (broken["raw"], torn["raw"]) == ("{broken\n", "{torn\n")
    assert report["counts"]["failed"] == 2
    assert Path("/dev/stdout").is_symlink()


def test_a_job_whose_file_of_rejects_another_job_has_says_so_and_does_nothing(
    launcher: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "text": "salt"}\n{broken\n')
    rejects = tmp_path / "documents-rows.jsonl.rejects.jsonl"
    rejects.write_text("of the other job\n")
    with RejectsFile(rejects).held():
        second = launcher.run("ingest", "rows.jsonl", cwd=tmp_path)
        error, kept, is_made = error_line(second), rejects.read_text(), (tmp_path / "connector-store").exists()
        beside = launcher.run("ingest", "rows.jsonl", "--rejects", "mine", cwd=tmp_path)
    after = launcher.run("ingest", "rows.jsonl", cwd=tmp_path)

    assert re.search(rf"{rejects.name} is in use by (process {os.getpid()}|another process), .*: --rejects$", error)
    assert (kept, is_made) == ("of the other job\n", False)
    assert (beside.code, after.code) == (1, 1)
    assert (tmp_path / "mine").read_text() == rejects.read_text()
