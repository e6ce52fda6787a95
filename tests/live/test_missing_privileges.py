"""Users of secured engines who may not do what is asked: the privilege that they lack is named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.indices.scratch import drop, unique_name
from support.indices.secured import Secured
from support.indices.secured_jobs import assert_no_secret, ingest, variables, write_source
from support.programs.command import Launcher, error_line

from connector.clusters.connect import connect
from connector.errors import AccessDenied
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.schema import Fields
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import build_schema

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("one_encoder")]
FIELDS = Fields(text={"title": 1.0, "text": 1.0})
GRANTS = {"elasticsearch": "grant one of the index privileges .*{0}", "opensearch": "grant the permission {1}"}
DENIED: dict[str, tuple[str, str, str]] = {
    "create": ("create index", "create_index", "indices:admin/create"),
    "open": ("read the mapping of index", "view_index_metadata", "indices:admin/mappings/get"),
    "search": ("read index", "read", "indices:data/read/search"),
    "write": ("write to index", "index", "indices:data/write/bulk"),
    "finish": ("refresh index", "maintenance", "indices:admin/refresh"),
    "drop": ("drop index", "delete_index", "indices:admin/delete"),
}


@pytest.fixture
async def name(secured: Secured) -> AsyncIterator[str]:
    """A name that no index has, and no user."""
    made = unique_name()
    yield made
    await drop(secured.superuser, made)


@pytest.mark.parametrize("operation", DENIED)
async def test_a_privilege_that_is_missing_is_named(
    secured: Secured, name: str, encoder: Encoder, operation: str, tmp_path: Path
) -> None:
    verb, *grants = DENIED[operation]
    await ingest(write_source(tmp_path, 2), secured.superuser, name)
    user = secured.add_user(f"{name}-user", secured.role("search", f"{name}-other"))
    admin, cluster = await connect(secured.superuser), await connect(user)
    schema = build_schema(Settings(), FIELDS, encoder.fingerprint)
    index = cluster._index(name, schema)

    async def attempt() -> None:
        match operation:
            case "create":
                await cluster.create_index(name, schema)
            case "open":
                await cluster.open_index(name)
            case "search":
                await index.lexical(LexicalQuery("refunds"), depth=3, filter=None, timeout_s=30)
            case "write":
                await index.remove(["d0"])
            case "finish":
                await index.finish()
            case "drop":
                await cluster.drop_index(name)

    with pytest.raises(AccessDenied) as caught:
        await attempt()
    documents = await admin.count(name)
    await cluster.close()
    await admin.close()

    message = str(caught.value)
    grant = GRANTS[secured.kind].format(*grants)
    assert caught.value.status == 403
    assert re.search(
        rf"user \[{name}-user\] may not {verb} '{name}' \(indices:.*\); {grant}.*docs/how-to/secure.md", message
    )
    assert documents == 2


async def test_every_command_names_the_privilege_that_is_missing(
    secured: Secured, name: str, encoder: Encoder, launcher: Launcher, tmp_path: Path
) -> None:
    source = write_source(tmp_path, 1)
    await ingest(source, secured.superuser, name)
    user = secured.add_user(f"{name}-user", secured.role("search", f"{name}-other"))
    new = f"{name}-new"
    commands = {
        ("index", "show", "-i", name): f"may not read the mapping of index '{name}'",
        ("search", "refunds", "-i", name): f"may not read the mapping of index '{name}'",
        ("ingest", source.name, "-i", name): f"may not read the mapping of index '{name}'",
        ("index", "drop", "--yes", "-i", name): f"may not drop index '{name}'",
        ("index", "create", "-i", new, "--set", "fields.text={text: 1}"): f"may not create index '{new}'",
    }
    for arguments, words in commands.items():
        done = launcher.run(*arguments, cwd=tmp_path, **variables(user))

        assert words in error_line(done)
        assert "; grant " in done.stderr
        assert_no_secret(done.stderr, user)


async def test_a_job_that_may_not_write_ends_at_once_and_rejects_nothing(
    secured: Secured, name: str, encoder: Encoder, launcher: Launcher, tmp_path: Path
) -> None:
    await ingest(write_source(tmp_path, 1), secured.superuser, name)
    reader = secured.add_user(f"{name}-reader", secured.role("search", name))
    source = write_source(tmp_path, 300)
    words = (
        rf"user \[{name}-reader\] may not write to index '?{name}'?|"
        rf"user \[{name}-reader\] may not do indices:data/write"
    )

    with pytest.raises(AccessDenied, match=words):
        await ingest(source, reader, name)
    done = launcher.run("ingest", source.name, "--index", name, cwd=tmp_path, **variables(reader))

    assert done.code == 2, done.stderr
    assert re.search(f"error: .*({words})", done.stderr)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*rejects*"))
    assert_no_secret(done.stdout + done.stderr, reader)


async def test_a_key_that_may_only_add_new_documents_is_told_what_it_lacks(
    secured_elasticsearch: ClusterSettings, encoder: Encoder, tmp_path: Path
) -> None:
    secured, name = Secured("elasticsearch", secured_elasticsearch), unique_name()
    await ingest(write_source(tmp_path, 1), secured.superuser, name)
    privileges = ["view_index_metadata", "read", "create_doc", "maintenance"]
    key = secured.add_key({"indices": [{"names": [name], "privileges": privileges}]})

    with pytest.raises(AccessDenied, match=rf"may not write to index '{name}' .*grant one of .* index, write, all"):
        await ingest(write_source(tmp_path, 9), secured.settings(api_key=key["encoded"]), name)
    await drop(secured.superuser, name)
