"""`connector model export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.table import Table

from connector.cli.console import results, stderr
from connector.cli.flags.settings import AsJson, ConfigFile, Overrides, read_settings
from connector.cli.stopping import say_when_stopped
from connector.errors import SettingsError

model_app = typer.Typer(no_args_is_help=True, help="Make a model faster for this machine.")


@model_app.callback()
def group() -> None:
    pass


@model_app.command()
def export(
    model: Annotated[
        str | None, typer.Argument(help="Folder or hub name of a cross-encoder or an encoder. [CONNECTOR_WORKER_MODEL]")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="onnx (exact), onnx-int8 (faster), or openvino (faster where the processor has bfloat16). "
            "[CONNECTOR_WORKER_BACKEND if it is one of them, else onnx-int8]"
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Export a reranker to ONNX, compare it with the original, and keep it where `connector worker` finds it.

    The worker does the same by itself when worker.backend says so; export ahead to see how far the two agree, or to
    bake the graph into an image. It is kept in $XDG_CACHE_HOME/hybrid-search-connector. Exit code 2: the rankings
    differ too much.

    Examples:

        connector model export

        connector model export cross-encoder/ms-marco-MiniLM-L6-v2 --backend onnx
    """
    settings = read_settings(config, override, worker__model=model, worker__backend=backend)
    chosen = _graph(settings.worker.backend, is_asked_for=backend is not None)
    say_when_stopped("no graph was kept; run it again")
    from connector.models.load import export_scorer

    with stderr.status(f"exporting {settings.worker.model} for {chosen}, and comparing the two"):
        found = export_scorer(settings.worker, settings.worker, chosen)
    if as_json:
        print(json.dumps({"model": settings.worker.model, "backend": chosen} | asdict(found)))
        return
    table = Table(show_header=False, show_edge=False)
    table.add_row("model", settings.worker.model)
    table.add_row("backend", chosen)
    table.add_row("same passages among the first 10", f"{found.overlap:.1%}")
    table.add_row("largest difference of two scores", f"{found.largest_difference:.4f}")
    table.add_row("speed", f"{found.speedup:.2f} times the original's here")
    results().print(table)
    stderr.print(f"use it with: connector worker --set worker.backend={chosen}", highlight=False)


def _graph(backend: str, *, is_asked_for: bool) -> Literal["onnx", "onnx-int8", "openvino"]:
    """The backend if it runs a graph; eight bits where nobody asked for another. Raises SettingsError."""
    match backend:
        case "onnx" | "onnx-int8" | "openvino":
            return backend
        case _ if is_asked_for:
            raise SettingsError(
                f"there is nothing to export for {backend}; --backend takes onnx, onnx-int8 or openvino"
            )
    return "onnx-int8"
