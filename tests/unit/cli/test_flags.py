"""Flags: each names the variable of its setting, or is about one call; groups of them are objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import typer
from typer.testing import CliRunner

from connector.cli.app import app
from connector.cli.flags.groups import with_flag_groups
from connector.settings.load import setting_names

# flags without a variable: what they say is about one call, and would be wrong for the next one
ONE_CALL = {
    "what is read": "config data topics qrels topic_field split judged_by queries query source test teacher_scores "
    "baseline_file",
    "what is written": "out html report_file rejects as_json show dry_run force file write restart export changed",
    "asks before it loses something": "yes delete_missing drop_slot",
    "what is added to somebody else's index, and where": "field versions undo max_search_ms max_search_ratio max_cpu "
    "beside into swap block_writes copied",
    "which of an index's vectors are used, and which are taken out": "switch clean",
    "whether it goes on, and where that is kept and told": "follow state metrics_port",
    "what is searched for": "filter reranker rerankers",
    "what is measured, and how": "pipelines baseline k measures segment_by weigh_by reuse_scores warm_up max_drop "
    "max_p95_ms max_degraded strict",
    "how it is trained; the folder of the model keeps it": "base kind loss teacher negatives depth max_share epochs "
    "batch_size learning_rate layer_decay max_length evaluations patience seed test_share",
    "how it is tuned; what comes of it is written to the settings": "measure budget_ms models depths windows "
    "min_recall timed test_share",
    "what is judged, and what judgments have to show": "folder logs parameter column count_column sample min_frequency "
    "personal add difference measured from_index order",
    "where people judge, who does, and what they see": "host port names rater overlap fields",
    "what a language model is asked, and what it may cost": "at_once body max_chars ask_again pairs price_in "
    "price_out max_cost max_requests",
    "what other programs wrote, and what they read": "files into format_name by kind cuts add_queries click_model "
    "min_looks click_action to kinds query_file",
    "what stands in front of the gateway": "proxy listen gateway",
    "any setting": "override",
    "which model, and from where": "name place",
    "what a results page needs": "lexical_query aggs total facets highlight collapse sort offset cursor",
    "of the command line itself": "show_version install_completion show_completion",
}
WITHOUT_VARIABLE = {name for names in ONE_CALL.values() for name in names.split()}
GROUP = typer.main.get_command(app)


def commands(group: Any = GROUP, called: str = "connector") -> Iterator[tuple[str, Any]]:
    """Every command with what it is called, groups too."""
    yield called, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{called} {name}")


def test_a_flag_names_the_variable_of_its_setting_or_is_about_one_call() -> None:
    names, wrong = setting_names(), []
    for called, command in commands():
        for flag in command.params:
            variables = re.findall(r"\[(CONNECTOR_\w+)", flag.help or "")
            if not flag.help:
                wrong.append(f"{called} {flag.name} does not say what it does")
            if not variables and flag.name not in WITHOUT_VARIABLE:
                wrong.append(f"{called} {flag.name} names no variable")
            wrong += [f"{called} {flag.name} names {name}" for name in variables if not names.of_variable(name)]

    assert wrong == []


@dataclass(frozen=True)
class Size:
    """A group."""

    PANEL: ClassVar[str] = "How large"

    wide: Annotated[int, typer.Option(help="Columns.")] = 3
    tall: Annotated[int | None, typer.Option("--tall", "-t")] = None


def run(*arguments: str) -> str:
    alone = typer.Typer(add_completion=False)

    @alone.command()
    @with_flag_groups
    def draw(shape: str, size: Size, loud: bool = False) -> None:
        """Draw it."""
        print(shape, size, loud)

    return CliRunner().invoke(alone, list(arguments), env={"COLUMNS": "100"}).output


def test_a_group_of_flags_comes_as_one_object() -> None:
    assert run("box", "--wide", "5", "-t", "2", "--loud").split() == ["box", "Size(wide=5,", "tall=2)", "True"]
    assert run("box").split() == ["box", "Size(wide=3,", "tall=None)", "False"]


def test_a_group_of_flags_stands_together_in_the_help() -> None:
    help_text = run("--help")

    assert "How large" in help_text
    assert re.search(r"--wide .*Columns", help_text)
    assert "Draw it." in help_text
