"""`connector`: the commands, and what happens to their errors."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from connector.cli.lazy import CommandPlace, lazy_group
from connector.errors import ClusterUnavailable, ConnectorError, EndpointUnavailable, SearchFailed, SettingsError

COMMANDS = {
    called: CommandPlace(f"connector.cli.commands.{module}", name, summary)
    for called, module, name, summary in (
        (
            "ingest",
            "ingest",
            "ingest",
            "Write documents, as text and vectors, into an index; create it if there is none.",
        ),
        (
            "backfill",
            "backfill",
            "backfill",
            "Add passages and vectors to an index that an application made and goes on writing to.",
        ),
        (
            "follow",
            "follow",
            "follow",
            "Keep the passages and vectors of a back-filled index right while applications go on writing to it.",
        ),
        (
            "migrate",
            "migrate",
            "migrate",
            "Change the encoder of an index that was back-filled, while searches go on.",
        ),
        ("search", "search", "search", "Search an index with its legs, fusion and the reranker."),
        ("worker", "worker", "worker", "Serve rerankers over HTTP, in the shapes that their clients already speak."),
        (
            "gateway",
            "gateway",
            "gateway_app",
            "Serve the cluster's own HTTP API, with the searches of named indexes reranked.",
        ),
        ("doctor", "doctor", "doctor", "Look at everything that a search needs, and say what to do."),
        (
            "eval",
            "evaluate",
            "evaluate",
            "Measure rankings on queries with judgments, through the real path of the configured cluster.",
        ),
        (
            "gate",
            "gate",
            "gate",
            "Compare the search with a stored baseline, and fail if it became worse. Made for CI.",
        ),
        ("train", "train", "train", "Fine-tune a reranker on judged queries, and compare it with its base."),
        (
            "tune",
            "tune",
            "tune",
            "Choose the settings of a search on judged queries, test them on others, and write them.",
        ),
        (
            "judge",
            "judge",
            "judge_app",
            "Get judged queries where there are none: from a query log to grades that can be trusted.",
        ),
        ("index", "index", "index_app", "Create, show or drop an index."),
        ("config", "config", "config_app", "Write, show or check the settings."),
        ("model", "model", "model_app", "Fetch models, list them, and make them faster for this machine."),
        ("native", "native", "native_app", "Let the engine itself fuse and rerank a plain _search, by the worker."),
    )
}

app = typer.Typer(
    name="connector",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Hybrid search and neural reranking beside the Elasticsearch or OpenSearch you already run.

    A first run with documents of your own, in a folder or in a file of JSON Lines, CSV or Parquet:

        connector ingest examples/corpus

        connector search "how long do tier-2 partners keep a registered deal" --no-rerank

        connector worker &

        connector search "how long do tier-2 partners keep a registered deal"

    They go to a store in this folder; add `--cluster http://localhost:9200` to do the same in a cluster. Every setting
    can be given in connector.yaml, in the environment and by a flag: `search.k`, `CONNECTOR_SEARCH_K`,
    `--set search.k=20`. A flag that stands for a setting names its variable in brackets; the others hold for this call
    alone.""",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("hybrid-search-connector"))
        raise typer.Exit


@app.callback()
def top(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run a command. An error that the user can act on is told in a line (error_line.py), and exit code 2, or 3 where
    the same may work later."""
    try:
        app(prog_name="connector")
    except ConnectorError as error:
        from connector.cli.error_line import tell_error

        tell_error(error)
        sys.exit(3 if isinstance(error, (ClusterUnavailable, EndpointUnavailable, SearchFailed)) else 2)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # said of a name that was given, wherever it is first looked for
            raise
        from connector.cli.error_line import tell_error

        tell_error(SettingsError(f"{error.filename!r} cannot be a file ({error.strerror}); give the name of one"))
        sys.exit(2)
