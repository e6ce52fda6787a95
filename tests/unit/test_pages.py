"""What README and the documentation name exists: commands, flags, targets, settings, files, code."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import typer
import yaml
from support.repository.pages import PAGES, ROOT, Line, blocks, commands, inline_code, lines_of, split_commands

from connector.cli.app import app
from connector.evaluation.pipelines import read_pipelines
from connector.settings.load import setting_names
from connector.settings.sections import Settings

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SHOWN = list(commands())
ELLIPSIS = ("...", "…")
NO_PLACES = re.compile(r"[*<>{}$ ]|://|NAME|FOLDER|^/|^\.\./|^~")  # a pattern, an address, a placeholder
# of other programs, of a user's machine, or made by a command
FOREIGN = ("models/", "OUT/", "results/", "runs/", "qrels/", "site/", "_cluster/", "metrics/")


def find_command(words: Sequence[str]) -> tuple[Any, str, list[str]]:
    """The command that words name, and the words after its name. Fails where there is none."""
    command, name, rest = typer.main.get_command(app), "connector", [word for word in words if word not in ELLIPSIS]
    while hasattr(command, "list_commands"):
        if not rest or rest[0].startswith("-"):
            break
        context = command.context_class(command, info_name=name)
        found = command.get_command(context, rest[0])
        assert found is not None, f"{name} has no command {rest[0]!r}"
        command, name, rest = found, rest[0], rest[1:]
    return command, name, rest


@pytest.mark.parametrize(
    ("place", "words"), [pytest.param(place, words, id=place) for place, words in SHOWN if words[0] == "connector"]
)
def test_a_command_that_is_shown_can_be_called_so(place: str, words: list[str]) -> None:
    command, name, rest = find_command(words[1:])

    command.make_context(name, [word for word in rest if not word.startswith("$")])


def test_commands_are_found_at_all() -> None:
    assert sum(words[0] == "connector" for _, words in SHOWN) >= 40
    assert sum(words[0] == "make" for _, words in SHOWN) > 10


def test_flags_that_the_text_names_exist() -> None:
    wrong = []
    for line, code in inline_code():
        words = code.split()
        if words[0] != "connector" or len(words) == 1:
            continue
        for choice in itertools.product(*(word.split("|") for word in words[1:3])):  # index create|show|drop
            command, name, rest = find_command([*choice, *words[3:]])
            known = {
                "--help",
                "-h",
                *(flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)),
            }
            wrong += [f"{line}: {name} {word}" for word in rest if word.startswith("-") and word not in known]

    assert not wrong


def test_every_make_target_that_is_named_exists() -> None:
    targets = [(place, words[1]) for place, words in SHOWN if words[0] == "make" and len(words) > 1]
    named = [(str(line), code.split()[1]) for line, code in inline_code() if code.startswith("make ")]
    wrong = [(place, target) for place, target in [*targets, *named] if target not in TARGETS and "*" not in target]

    assert not wrong


def test_programs_of_the_repository_that_are_named_exist() -> None:
    programs = [(place, word) for place, words in SHOWN if words[0].startswith("python") for word in words[1:2]]

    assert programs
    assert not [(place, program) for place, program in programs if not (ROOT / program).is_file()]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles_and_its_imports_resolve(block: Any) -> None:
    tree = ast.parse(block.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]

    for node in imports:
        module = importlib.import_module(str(node.module))
        assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_is_settings_or_pipelines_or_steps_of_ci(block: Any, tmp_path: Any) -> None:
    found = yaml.safe_load(block.text)
    if isinstance(found, list):
        assert all(set(step) == {"run"} for step in found)
    elif set(found) <= set(Settings.model_fields):
        Settings.model_validate(found)
    else:
        (tmp_path / "pipelines.yaml").write_text(block.text)

        assert len(read_pipelines(str(tmp_path / "pipelines.yaml"))) == len(found)


def test_settings_that_are_named_exist() -> None:
    names = setting_names()
    sections = tuple(f"{section}." for section in Settings.model_fields)
    settings_named = [
        (line, code.split(":")[0].split("=")[0]) for line, code in inline_code() if code.startswith(sections)
    ]
    wrong = [
        f"{line}: {name}"
        for line, name in settings_named
        if not names.is_setting(name) and not names.is_section(name) and not name.endswith((".yaml", ".json", ".sh"))
    ]

    assert len(settings_named) > 60
    assert not wrong


def test_variables_that_are_named_belong_to_settings() -> None:
    names = setting_names()
    wrong = [
        f"{line}: {name}"
        for page in PAGES
        for line in lines_of(page)
        for name in re.findall(r"\bCONNECTOR_[A-Z_]*[A-Z]\b", line.text)
        if not names.of_variable(name) and not names.of_file_variable(name) and not name.startswith("CONNECTOR_WORKER_")
    ]

    assert not wrong


def test_files_that_are_named_exist() -> None:
    wrong = []
    for line, code in inline_code():
        is_place = "/" in code and re.fullmatch(r"[\w./-]+", code) and not NO_PLACES.search(code)
        folder = code.partition("/")[0]
        if is_place and not code.startswith(FOREIGN) and (ROOT / folder).exists() and not (ROOT / code).exists():
            wrong.append(f"{line}: {code}")

    assert not wrong


MACHINES = re.compile(
    r"\bcommit [0-9a-f]{7}\b|AMD EPYC|Intel Xeon|scripts? that (?:is|are) not kept|\bbusy cores\b"
    r"|\bon (?:two|four|\d+) cores"
)
# what a measure gives is written without a leading zero, and a setting with one
FIGURES = re.compile(
    r"(?<![\w.])\.\d\d|\d ?(?:ms|µs)\b|(?:\d|hundreds|thousands) [a-z ]{0,30}?(?:per|a) (?:CPU )?second\b(?! \w)"
    r"|\d \w+/s\b|\bmeasured (?:here|for this|on (?:our|this|a|one|two))"
)
CODE = re.compile(r"`[^`]*`")


def test_machines_and_commits_stay_among_the_measurements() -> None:
    assert MACHINES.search("measured for this documentation, on two busy cores")
    assert MACHINES.search("at commit 1a2b3c4")
    assert [str(line) for line in outside_measurements() if MACHINES.search(line.text)] == []


def test_figures_stay_among_the_measurements() -> None:
    """But for what a tutorial's commands print, and one table of the README, below the command that makes it."""
    for figure in ("gains .012 on the mean", "15 ms of processor time", "300 pairs a second", "60 pairs/s"):
        assert FIGURES.search(figure)
    lines = [line for line in outside_measurements() if line.page.parent.name != "tutorial"]
    found = [line for line in lines if FIGURES.search(CODE.sub("", line.text))]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## What it gives\n")[2].partition("\n## ")[0]

    assert [str(line) for line in found if line.page != ROOT / "README.md"] == []
    assert all(line.kind == "table" and line.text in section for line in found)
    assert section.strip().startswith("`make bench-quality`")


def outside_measurements() -> Iterator[Line]:
    """The prose and tables of pages about the product; the changelog is about its past."""
    for page in PAGES:
        if page.parent.name != "measurements" and page.name != "CHANGELOG.md":
            yield from (line for line in lines_of(page) if line.kind in ("prose", "table"))


def all_commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name="connector")
        for name in command.list_commands(context):
            yield from all_commands(command.get_command(context, name), (*path, name))


HELP_EXAMPLES = [
    (path, words)
    for path, command in all_commands(typer.main.get_command(app))
    for line in (command.help or "").splitlines()
    if line.strip().startswith("connector ")
    for words in split_commands(line.strip())
    if words[0] == "connector"
]


@pytest.mark.parametrize(
    ("path", "words"), [pytest.param(path, words, id=f"{path}-{at}") for at, (path, words) in enumerate(HELP_EXAMPLES)]
)
def test_an_example_in_a_help_text_can_be_called_so(path: str, words: list[str]) -> None:
    command, name, rest = find_command(words[1:])
    command.make_context(name, rest)
    places = [word for word in rest if word.startswith("examples/")]

    assert all((ROOT / place).exists() for place in places)


def test_names_are_in_the_files_that_the_text_says() -> None:
    places = [
        (page.name, name, file)
        for page in PAGES
        for name, file in re.findall(
            r"`(\w+)`\s+(?:in\s+|\()`(connector/[\w/]+\.py)`", page.read_text(encoding="utf-8")
        )
    ]

    assert len(places) >= 5
    assert not [
        place for place in places if not re.search(rf"\b{place[1]}\b", (ROOT / place[2]).read_text(encoding="utf-8"))
    ]


def test_the_glossary_has_each_word_once() -> None:
    page = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
    words = [word for cell in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)[1:] for word in cell.split(", ")]

    assert len(words) > 60
    assert sorted(word for word in words if words.count(word) > 1) == []


def test_the_page_of_the_doctor_has_every_check() -> None:
    page = (ROOT / "docs/reference/doctor.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| ([a-z, ]+) \|", page, re.MULTILINE)
    documented = {name for cell in first_cells for name in cell.split(", ")}
    calls = [
        node
        for file in (ROOT / "connector/doctor").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding" and node.args
    ]
    checks = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}

    assert len(checks) > 10
    assert checks - documented == set()
