"""`connector native install|show|remove`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SettingsFlags
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.native import print_parts
from connector.logs import configure_logging
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.native.plan import Installed, Part

native_app = typer.Typer(
    no_args_is_help=True, help="Let the engine itself fuse and rerank a plain _search, by the worker."
)


@native_app.command()
@with_flag_groups
def install(
    flags: SettingsFlags,
    worker_url: Annotated[
        str | None,
        typer.Option(
            help="The worker as the cluster's nodes reach it; that of the first stage when not given. "
            "[CONNECTOR_NATIVE_WORKER_URL]"
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            help="The text field to embed or rerank, where the engine takes only one. [CONNECTOR_NATIVE_FIELD]"
        ),
    ] = None,
    embeddings: Annotated[
        bool | None,
        typer.Option("--embeddings/--no-embeddings", help="Vectors from the worker too. [CONNECTOR_NATIVE_EMBEDDINGS]"),
    ] = None,
    model_group: Annotated[
        str | None, typer.Option(help="OpenSearch: id of the models' group. [CONNECTOR_NATIVE_MODEL_GROUP]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register the worker with the engine, make the pipelines that call it, and print a search that uses them.

    What is there already is left alone, or changed where it differs. The index itself is not touched.

    Examples:

        connector native install --cluster http://localhost:9200 --index kb --worker-url http://10.0.0.5:8787

        connector native install --index wiki --set 'index.text_fields={title: 2, body: 1}' --field body
    """
    settings = flags.read(
        native__worker_url=worker_url,
        native__field=field,
        native__embeddings=embeddings,
        native__model_group=model_group,
    )
    configure_logging(settings.log)
    say_when_stopped("what was made stays; the same command goes on, connector native remove takes it out")
    installed = event_loop.run(_install(settings))
    if as_json:
        print(json.dumps(asdict(installed)))
        return
    print_parts(installed.parts)
    print(f"\n{installed.example.request}\n{json.dumps(installed.example.body, indent=2, ensure_ascii=False)}")


@native_app.command()
@with_flag_groups
def show(
    flags: SettingsFlags,
    as_json: AsJson = False,
) -> None:
    """Show what is installed for an index, and whether its models are deployed."""
    settings = flags.read()
    configure_logging(settings.log)
    parts = event_loop.run(_show(settings))
    if as_json:
        print(json.dumps([asdict(part) for part in parts]))
    else:
        print_parts(parts)


@native_app.command()
@with_flag_groups
def remove(
    flags: SettingsFlags,
    as_json: AsJson = False,
) -> None:
    """Take out what `connector native install` made for an index, and nothing else. The index stays as it is."""
    settings = flags.read()
    configure_logging(settings.log)
    say_when_stopped("what was taken out stays out; the same command goes on")
    parts = event_loop.run(_remove(settings))
    if as_json:
        print(json.dumps([asdict(part) for part in parts]))
    elif parts:
        print_parts(parts)
    else:
        stderr.print(f"nothing is installed for {settings.index.name}", highlight=False)


async def _install(settings: Settings) -> Installed:
    from connector.native.planning import build_plan
    from connector.wiring import open_index, open_native, opened_cluster

    async with opened_cluster(settings) as cluster:
        native = open_native(cluster, settings)
        index = await open_index(cluster, settings)
        return await native.install(build_plan(settings, index.schema))


async def _show(settings: Settings) -> list[Part]:
    from connector.wiring import open_native, opened_cluster

    async with opened_cluster(settings) as cluster:
        return await open_native(cluster, settings).show()


async def _remove(settings: Settings) -> list[Part]:
    from connector.wiring import open_native, opened_cluster

    async with opened_cluster(settings) as cluster:
        return await open_native(cluster, settings).remove()
