"""`connector`: the commands, and what happens to their errors."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from connector.cli.commands.config import config_app
from connector.cli.commands.doctor import doctor
from connector.cli.commands.evaluate import evaluate
from connector.cli.commands.gate import gate
from connector.cli.commands.index import index_app
from connector.cli.commands.ingest import ingest
from connector.cli.commands.model import model_app
from connector.cli.commands.native import native_app
from connector.cli.commands.search import search
from connector.cli.commands.train import train
from connector.cli.commands.tune import tune
from connector.cli.commands.worker import worker
from connector.errors import ClusterUnavailable, ConnectorError, SearchFailed
from connector.logs import log_as_json

app = typer.Typer(
    name="connector",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Hybrid search and neural reranking beside the Elasticsearch or OpenSearch you already run.

    A first run, with nothing but a folder:

        connector ingest examples/corpus.jsonl

        connector worker &

        connector search "how long do tier-2 partners keep a registered deal"

    Add `--cluster http://localhost:9200` to do the same in a cluster. Every flag has a twin in connector.yaml and in the
    environment (`CONNECTOR_CLUSTER_URL`, `CONNECTOR_SEARCH_K`, ...).""",
)
app.command()(ingest)
app.command()(search)
app.command()(worker)
app.command()(doctor)
app.command("eval")(evaluate)
app.command()(gate)
app.command()(train)
app.command()(tune)
app.add_typer(index_app, name="index")
app.add_typer(config_app, name="config")
app.add_typer(model_app, name="model")
app.add_typer(native_app, name="native")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("hybrid-search-connector"))
        raise typer.Exit


@app.callback()
def top(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command. An error that the user can act on is one line on stderr, and exit code 2, or 3 where the same may work later.

    SIGTERM ends the command with 143, also where it is the first process of a container, which the default would not end."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except ConnectorError as error:
        if not log_as_json(error):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, (ClusterUnavailable, SearchFailed)) else 2)
    except KeyboardInterrupt:
        sys.exit(130)
