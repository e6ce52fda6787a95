"""`--reranker NAME`: a reranker that the worker offers, or a worker of the command's own until the command ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.settings import SettingsReader
from connector.errors import WorkerError
from connector.settings.file import plain_value
from connector.settings.sections import Settings

LOOK_UP_S = 5.0
# what a worker of the command's own takes over from the settings of the configured one
TAKEN_OVER = ("device", "backend", "max_length", "max_batch_tokens", "cache_bytes")

RERANKER_HELP = (
    "A reranker of the worker, by its name; or a hub name or folder, for which a worker is started until the command "
    "ends."
)
RerankerName = Annotated[str | None, typer.Option("--reranker", metavar="NAME", help=RERANKER_HELP)]
RerankerNames = Annotated[
    list[str] | None,
    typer.Option(
        "--reranker", metavar="NAME", help=f"Also measure the pipeline reranked-NAME. {RERANKER_HELP} Can be repeated."
    ),
]


def with_reranker(context: typer.Context, name: str | None, settings_with: SettingsReader) -> SettingsReader:
    """`settings_with`, for searches that rerank with `name` alone unless their own settings say otherwise; as it is for
    None."""
    if name is None:
        return settings_with
    chosen = use_reranker(context, name, settings_with({}))
    return lambda own: settings_with({**chosen, **own})


def use_reranker(context: typer.Context, name: str, settings: Settings) -> Mapping[str, Any]:
    """Path -> value of what a search has to set to rerank with `name`; a worker that it takes ends with the command.

    Raises ModelError where no worker offers it and it cannot be loaded here."""
    return context.with_resource(offered_or_started(name, settings))


@contextmanager
def offered_or_started(name: str, settings: Settings) -> Iterator[Mapping[str, Any]]:
    """The same for as long as the block."""
    stage = settings.first_stage
    path, on = f"rerankers.{stage.reranker}", {"search.rerank": [plain_value(stage)]}
    offered = find_offered(name, fetch_offered(settings) or ())
    if offered:
        stderr.print(f"reranking with {offered} of the worker at {settings.first_reranker.url}", highlight=False)
        yield on | {f"{path}.model": offered}
        return
    from connector.models.files import find_model
    from connector.remote.process import running_worker

    find_model(name, settings.models)  # here, where a download shows how far it is
    with ExitStack() as stack:
        with stderr.status(f"loading {name}"):
            worker = stack.enter_context(running_worker(_arguments(name, settings), own_settings=True))
        stderr.print(f"reranking with {name} in a worker of this command at {worker.url}", highlight=False)
        yield on | {f"{path}.url": worker.url, f"{path}.model": name}


def fetch_offered(settings: Settings) -> tuple[str, ...] | None:
    """The rerankers of the worker of the first stage; None where none answers."""
    from connector.wiring import open_reranker

    worker = open_reranker(settings, str(settings.first_stage.reranker))

    async def ask() -> tuple[str, ...] | None:
        try:
            return await worker.rerankers(timeout_s=LOOK_UP_S)
        except WorkerError:
            return None
        finally:
            await worker.close()

    return event_loop.run(ask())


def find_offered(name: str, offered: tuple[str, ...]) -> str | None:
    """The one of that name, also where the name is given with its owner; a folder here is meant as it is."""
    named = name if Path(name).expanduser().is_dir() else name.rstrip("/").rsplit("/", 1)[-1]
    return next((model for model in offered if model in (name, named)), None)


def _arguments(name: str, settings: Settings) -> list[str]:
    taken = {setting: getattr(settings.worker, setting) for setting in TAKEN_OVER}
    sets = [f"--set=worker.{setting}={value}" for setting, value in taken.items() if value is not None]
    return ["--host", "127.0.0.1", f"--reranker={name}", *sets]
