"""`connector index create|show|drop`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SettingsFlags
from connector.cli.flags.vectors import VectorIndexName
from connector.cli.stopping import say_when_stopped
from connector.cli.tables.index import print_index
from connector.errors import SettingsError
from connector.settings.sections import Settings

index_app = typer.Typer(no_args_is_help=True, help="Create, show or drop an index.")


@index_app.command()
@with_flag_groups
def create(
    flags: SettingsFlags,
    vector_index: VectorIndexName = None,
) -> None:
    """Create an empty index from fields.text and fields.metadata of the settings.

    `connector ingest` does this by itself; create the index first to choose its analyzer or vector index:

        connector index create -i docs --set 'fields.text={title: 2, body: 1}' --vector-index hnsw
    """
    settings = flags.read(index__vectors__index=vector_index)
    say_when_stopped("the index may be there already; connector index show tells")
    event_loop.run(_create(settings))


@index_app.command()
@with_flag_groups
def show(
    flags: SettingsFlags,
    as_json: AsJson = False,
) -> None:
    """Show what an index holds: documents, fields, encoder, vectors."""
    settings = flags.read()
    description = event_loop.run(_describe(settings))
    if as_json:
        print(json.dumps(description, default=str))
        return
    print_index(description)


@index_app.command()
@with_flag_groups
def drop(
    flags: SettingsFlags,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove an index with everything in it."""
    settings = flags.read()
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsError("dropping an index needs --yes where nobody can be asked")
        typer.confirm(f"drop index {settings.index.name} at {settings.cluster.url} with everything in it?", abort=True)
    say_when_stopped("the index may be gone already; connector index show tells")
    event_loop.run(_drop(settings))
    stderr.print(f"dropped {settings.index.name}")


async def _create(settings: Settings) -> None:
    from connector.schema import Fields
    from connector.wiring import build_schema, load_encoder, opened_cluster

    given = settings.fields
    if not given.text:
        raise SettingsError("name the text fields of the new index: fields.text, for example {title: 2.0, text: 1.0}")
    fields = Fields(text=given.text, metadata=given.metadata, id=given.id or "_id")
    async with opened_cluster(settings) as cluster:
        encoder = await event_loop.in_own_thread(load_encoder, settings)
        await cluster.create_index(settings.index.name, build_schema(settings, fields, encoder.fingerprint))
    stderr.print(f"created {settings.index.name} in {cluster.engine}")


async def _describe(settings: Settings) -> dict[str, Any]:
    from connector.wiring import open_index, opened_cluster

    async with opened_cluster(settings) as cluster:
        index = await open_index(cluster, settings)
        documents = await cluster.count(settings.index.name)
    schema = index.schema
    return {
        "index": index.name,
        "engine": str(cluster.engine),
        "documents": documents,
        "made by us": schema.managed,
        "id": schema.fields.id,
        "text": dict(schema.fields.text),
        "metadata": dict(schema.fields.metadata),
        "analyzer": schema.analyzer,
        "encoder": str(schema.encoder) if schema.encoder else "unknown",
        "vectors": asdict(schema.vectors) | {"field": schema.vector_field, "dims": schema.dims},
        "passages": asdict(schema.passages),
    }


async def _drop(settings: Settings) -> None:
    from connector.wiring import opened_cluster

    async with opened_cluster(settings) as cluster:
        await cluster.drop_index(settings.index.name)
