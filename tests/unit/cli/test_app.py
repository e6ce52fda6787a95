"""The commands are there by name, and none of them is imported before it is called."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from connector.cli.app import COMMANDS, app

GROUP = typer.main.get_command(app)


@pytest.mark.parametrize("called", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_itself(called: str) -> None:
    command = GROUP.commands[called]  # type: ignore[attr-defined]

    assert command.name == called
    assert (command.help or "").startswith(COMMANDS[called].summary.removesuffix("."))


def test_help_lists_every_command() -> None:
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})

    assert done.exit_code == 0
    assert [called for called in COMMANDS if f"│ {called} " not in done.output] == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("connector in", ["ingest", "index"]),
        ("connector index s", ["show"]),
        ("connector gateway proxy-config en", ["envoy"]),
    ],
)
def test_a_shell_completes_what_it_is_asked_for(words: str, offered: list[str]) -> None:
    asked = {"_CONNECTOR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = CliRunner().invoke(app, [], prog_name="connector", env=asked)

    assert done.output.split() == offered, done.output


def test_a_mistyped_command_is_told_the_near_one() -> None:
    refused = CliRunner().invoke(app, ["serch"], env={"COLUMNS": "200"})

    assert refused.exit_code == 2
    assert "Did you mean 'search'?" in refused.output
