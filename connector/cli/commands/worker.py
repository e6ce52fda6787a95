"""`connector worker`: the rerank server."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import ConfigFile, LogFormat, Overrides, read_settings
from connector.cli.stopping import SERVED, say_when_stopped
from connector.extras import needs


@dataclass(frozen=True, slots=True)
class WorkerFlags:
    """Settings of the section `worker`, by their names."""

    model: Annotated[
        str | None,
        typer.Option(
            "--reranker",
            "--model",
            "-m",
            metavar="NAME",
            help="Folder or hub name of a cross-encoder, or of an encoder for late interaction. "
            "[CONNECTOR_WORKER_MODEL]",
        ),
    ] = None
    kind: Annotated[
        str | None, typer.Option(help="auto, cross-encoder or late-interaction. [CONNECTOR_WORKER_KIND]")
    ] = None
    host: Annotated[str | None, typer.Option(help="Address to listen on. [CONNECTOR_WORKER_HOST]")] = None
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 for any free one. [CONNECTOR_WORKER_PORT]")] = (
        None
    )
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps; the best there is when not given. [CONNECTOR_WORKER_DEVICE]")
    ] = None
    ready_file: Annotated[
        str | None,
        typer.Option(
            "--ready-file",
            metavar="PATH",
            help="JSON file for url, scheme, pid and state: loading, ready, failed, stopping. "
            "[CONNECTOR_WORKER_READY_FILE]",
        ),
    ] = None


@with_flag_groups
def worker(
    flags: WorkerFlags, log_format: LogFormat = None, config: ConfigFile = None, override: Overrides = None
) -> None:
    """Serve rerankers over HTTP, in the shapes that their clients already speak.

    POST /rerank (TEI), /v1/rerank, /v2/rerank (Cohere, Jina, Voyage, vLLM), /score,
    /embed, /v1/embeddings; GET /health, /ready, /info, /v1/models, /metrics.

    Examples:

        connector worker                                                  # MaxSim over all-MiniLM-L6-v2, untrained

        connector worker --reranker cross-encoder/ettin-reranker-32m-v1   # a cross-encoder from the hub
    """
    named = {f"worker__{name}": value for name, value in asdict(flags).items()}
    settings = read_settings(config, override, **named, log__format=log_format)
    from connector.logs import configure_logging

    with needs("worker", "connector worker"):
        from connector.worker.serve import serve
    configure_logging(settings.log)
    say_when_stopped(SERVED)
    serve(settings.worker, settings.models)
