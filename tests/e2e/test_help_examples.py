"""The command lines in the help texts: all are such as the commands take, and those of a first run are run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from support.programs.command import Launcher

from connector.cli.app import app

ROOT = Path(__file__).parents[2]
GROUP = typer.main.get_command(app)
ROWS = 6


def helps(group: Any = GROUP) -> Iterator[str]:
    yield group.help or ""
    for command in getattr(group, "commands", {}).values():
        yield from helps(command)


def examples() -> list[list[str]]:
    """The arguments of each line of a help text that begins with `connector`."""
    lines = [line for text in helps() for line in re.findall(r"^ *connector (.+)$", text, re.MULTILINE)]
    return [arguments_of(line) for line in lines]


def arguments_of(line: str) -> list[str]:
    """As a shell gives them to the command: without a comment, a pipe, and what comes behind."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&>")
    lexer.whitespace_split = True
    words = list(lexer)
    end = next((at for at, word in enumerate(words) if word in ("|", "&", ">")), len(words))
    return words[:end]


@pytest.mark.parametrize("arguments", examples(), ids=" ".join)
def test_a_command_takes_the_line_that_its_help_shows(arguments: list[str]) -> None:
    command, rest = GROUP, arguments
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]

    assert command.make_context("connector", list(rest)).params


def test_every_command_shows_an_example() -> None:
    named = {arguments[0] for arguments in examples()}

    assert set(GROUP.commands) - named == set()  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the examples name, small: the corpus of the repository with its first documents."""
    corpus = tmp_path / "examples" / "corpus"
    corpus.mkdir(parents=True)
    for name in ("queries.jsonl", "qrels.tsv"):
        shutil.copy(ROOT / "examples" / "corpus" / name, corpus)
    rows = (ROOT / "examples" / "corpus" / "corpus.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (corpus / "corpus.jsonl").write_text("".join(rows[:ROWS]), encoding="utf-8")
    return tmp_path


def test_the_first_run_that_help_shows_is_a_run(launcher: Launcher, folder: Path) -> None:
    """Line by line, in one folder; the last one asks the worker that the third one would start."""
    ingest, search, worker, reranked = [
        arguments_of(line) for line in re.findall(r"^ *connector (.+)$", GROUP.help or "", re.M)
    ]
    ingested = launcher.run(*ingest, "--json", cwd=folder)
    found = launcher.run(*search, "--json", cwd=folder)

    assert ingested.code == 0, ingested.stderr
    assert json.loads(ingested.stdout)["counts"]["written"] == ROWS
    assert found.code == 0, found.stderr
    assert json.loads(found.stdout)["hits"]
    assert (worker, reranked) == (["worker"], search[:-1])
