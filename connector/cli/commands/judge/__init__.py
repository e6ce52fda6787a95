"""`connector judge`: each of its commands is a file, and is imported when it is called."""

from __future__ import annotations

import typer

from connector.cli.lazy import CommandPlace, lazy_group

# by name, in the order of the work: CommandPlace(f"{__name__}.FILE", "FUNCTION", "First line of its help.")
JUDGE_COMMANDS: dict[str, CommandPlace] = {
    "queries": CommandPlace(
        f"{__name__}.queries",
        "queries",
        "Take queries out of a log, and draw a sample that is fair to frequent and rare ones.",
    ),
    "pool": CommandPlace(
        f"{__name__}.pool",
        "pool",
        "Run pipelines on the queries of a folder, and pool their first documents: the pairs to judge.",
    ),
    "page": CommandPlace(f"{__name__}.page", "page", "Let people judge the pairs of a pool, on a web page."),
    "llm": CommandPlace(
        f"{__name__}.llm", "llm", "Let a language model grade the pool, and compare its grades with those of people."
    ),
    "agreement": CommandPlace(
        f"{__name__}.agreement", "agreement", "Say how far judges agree, and whether they order pipelines alike."
    ),
    "import": CommandPlace(
        f"{__name__}.import_grades", "import_grades", "Read judgments of other programs, and clicks, into a folder."
    ),
    "export": CommandPlace(f"{__name__}.export", "export", "Write the judgments as other programs read them."),
    "status": CommandPlace(
        f"{__name__}.status", "status", "Say what is judged, how far the judges agree, and what so many queries show."
    ),
}

judge_app = typer.Typer(
    cls=lazy_group(JUDGE_COMMANDS),
    no_args_is_help=True,
    help="""Get judged queries where there are none: from a query log to grades that can be trusted.""",
)


@judge_app.callback()
def group() -> None:
    pass
