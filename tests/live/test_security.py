"""Secured engines, with TLS from a private CA: what each kind of credentials may do, and what is said where they may
not."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_security import make_certificates
from support.command import UNHURRIED, Finished, Launcher
from support.proxy import Proxy
from support.scratch import drop, unique_name
from support.secured import Secured

from connector.client import Connector
from connector.clusters.clients import service_credentials
from connector.clusters.connect import connect
from connector.errors import AccessDenied, ClusterError, ConnectorError, SettingsError, TlsError
from connector.ingest import job
from connector.ingest.report import JobReport
from connector.lexical import LexicalQuery
from connector.models.encoder import Encoder
from connector.schema import Fields
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings
from connector.wiring import build_schema, build_searcher

pytestmark = pytest.mark.live
FIELDS = Fields(text={"title": 1.0, "text": 1.0})
DROP = {
    "elasticsearch": lambda index: {"indices": [{"names": [index], "privileges": ["delete_index"]}]},
    "opensearch": lambda index: {
        "index_permissions": [{"index_patterns": [index], "allowed_actions": ["indices:admin/delete"]}]
    },
}


@pytest.fixture
async def name(secured: Secured) -> AsyncIterator[str]:
    """A name that no index has, and no user."""
    made = unique_name()
    yield made
    await drop(secured.superuser, made)


@pytest.fixture(autouse=True)
def _one_encoder(monkeypatch: pytest.MonkeyPatch, encoder: Encoder) -> None:
    monkeypatch.setattr(job, "load_encoder", lambda settings: encoder)


def write_source(folder: Path, count: int) -> Path:
    path = folder / f"{count}.jsonl"
    rows = [{"_id": f"d{at}", "title": f"Row {at}", "text": f"Rule {at} on refunds."} for at in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def ingest(source: Path, cluster: ClusterSettings, index: str, *, delete_missing: bool = False) -> JobReport:
    rejects = source.parent / "rejects.jsonl"
    return await job.run_job(str(source), settings_of(cluster, index), rejects=rejects, delete_missing=delete_missing)


def settings_of(cluster: ClusterSettings, index: str) -> Settings:
    overrides = {"index.name": index, "search.rerank": "off", "search.deadline_s": 120.0}
    settings = load_settings(environ={}, overrides=overrides)
    return settings.model_copy(update={"cluster": cluster})


async def search(cluster: ClusterSettings, index: str, encoder: Encoder) -> list[str]:
    opened = await connect(cluster)
    searcher = build_searcher(await opened.open_index(index), encoder, {}, settings_of(cluster, index))
    async with Connector(searcher, opened) as connector:
        response = await connector.search("rule on refunds")
    assert response.degraded == ()
    assert set(response.rankings) == {"lexical", "dense", "fused"}
    return [hit.doc_id for hit in response.hits]


def as_every_kind(secured: Secured, user: str, *roles: dict[str, Any]) -> dict[str, ClusterSettings]:
    """The same rights with every kind of credentials that the engine takes."""
    basic = secured.add_user(user, *roles)
    kinds = {"password": basic, "bearer token": secured.settings(bearer_token=secured.add_token(basic))}
    if secured.kind == "elasticsearch":
        (role,) = roles
        key = secured.add_key(role)
        kinds["encoded key"] = secured.settings(api_key=key["encoded"])
        kinds["key as a pair"] = secured.settings(api_key=f"{key['id']}:{key['api_key']}")
    return kinds


async def test_the_documented_roles_suffice_with_every_kind_of_credentials(
    secured: Secured, name: str, encoder: Encoder, tmp_path: Path
) -> None:
    """To create an index, write it, remove what is missing, show it and search it; and no more."""
    many, few = write_source(tmp_path, 5), write_source(tmp_path, 3)
    writers = as_every_kind(secured, f"{name}-writer", secured.role("ingest", name))
    readers = as_every_kind(secured, f"{name}-reader", secured.role("search", name))
    for kind, writer in writers.items():
        first = await ingest(many, writer, name)
        again = await ingest(few, writer, name, delete_missing=True)
        cluster = await connect(writer)
        assert cluster.engine.kind == secured.kind
        assert [alias[: -len("12345678")] for alias in secured.call("GET", f"/{name}/_alias")[name]["aliases"]] == [
            f"{name}-writes-"
        ]
        assert await cluster.count(name) == 3
        with pytest.raises(AccessDenied, match=f"may not drop index '{name}'"):
            await cluster.drop_index(name)
        await cluster.close()

        assert (first.counts.written, first.stopped) == (5, None)
        assert (again.counts.unchanged, again.counts.removed, again.stopped) == (3, 2, None)
        assert sorted(await search(readers[kind], name, encoder)) == ["d0", "d1", "d2"]
        await drop(secured.superuser, name)


def test_the_commands_work_with_credentials_from_the_environment(
    secured: Secured, launcher: Launcher, tmp_path: Path
) -> None:
    name = unique_name()
    user = secured.add_user(name, secured.role("ingest", name), DROP[secured.kind](name))
    source = write_source(tmp_path, 4)

    def run(*arguments: str) -> Finished:
        done = launcher.run(*arguments, "--index", name, cwd=tmp_path, **variables(user))
        assert done.code == 0, done.stderr
        return done

    ingested = run("ingest", source.name, "--json")
    shown = run("index", "show", "--json")
    found = run("search", "rule on refunds", "--no-rerank", "--json", *UNHURRIED)
    dropped = run("index", "drop", "--yes")

    assert json.loads(ingested.stdout)["counts"]["written"] == 4
    assert json.loads(shown.stdout)["documents"] == 4
    assert len(json.loads(found.stdout)["hits"]) == 4
    for done in (ingested, shown, found, dropped):
        assert_no_secret(done.stdout + done.stderr, user)


def variables(cluster: ClusterSettings) -> dict[str, str]:
    """The settings as variables of the environment."""
    given = {
        "URL": cluster.url,
        "CA_CERT": cluster.ca_cert,
        "USERNAME": cluster.username,
        "PASSWORD": cluster.password and cluster.password.get_secret_value(),
        "API_KEY": cluster.api_key and cluster.api_key.get_secret_value(),
        "BEARER_TOKEN": cluster.bearer_token and cluster.bearer_token.get_secret_value(),
    }
    return {f"CONNECTOR_CLUSTER_{name}": value for name, value in given.items() if value}


def assert_no_secret(text: str, cluster: ClusterSettings) -> None:
    for secret in (cluster.password, cluster.api_key, cluster.bearer_token):
        if secret:
            assert secret.get_secret_value() not in text
            assert secret.get_secret_value().partition(":")[2] not in text or ":" not in secret.get_secret_value()


def refused(secured: Secured, case: str) -> ClusterSettings:
    """Credentials that the engine does not accept."""
    user = secured.superuser.username
    match case:
        case "no credentials":
            return secured.anonymous
        case "wrong password":
            return secured.settings(username=user, password="wrong-secret-words")
        case "no such user":
            return secured.settings(username="nobody", password="wrong-secret-words")
        case "wrong token":
            return secured.settings(bearer_token="wrong-secret-words")
        case "expired token":
            return secured.settings(bearer_token=secured.sign({"sub": "ann", "roles": "x", "exp": 1}))
        case "key of another engine":
            return secured.settings(api_key="d3Jvbmc6c2VjcmV0LXdvcmRz")
        case "wrong key":
            return secured.settings(api_key=f"{secured.add_key()['id']}:wrong-secret-words-22")
        case "expired key":
            key = secured.add_key(expiration="1ms")
            time.sleep(0.2)
            return secured.settings(api_key=key["encoded"])
        case "invalidated key":
            key = secured.add_key()
            secured.call("DELETE", "/_security/api_key", {"ids": [key["id"]]})
            return secured.settings(api_key=key["encoded"])
    raise AssertionError(case)


BOTH = ("elasticsearch", "opensearch")
REFUSED = {
    "no credentials": (BOTH, "asks for credentials .*; set cluster.api_key, cluster.username and cluster.password, or"),
    "wrong password": (BOTH, "does not accept the configured user name and password .*; check both"),
    "no such user": (BOTH, "does not accept the configured user name and password .*; check both"),
    "wrong token": (BOTH, "does not accept the configured bearer token .*; check it, and whether it has expired"),
    "expired token": (("opensearch",), "does not accept the configured bearer token .*whether it has expired"),
    "key of another engine": (("opensearch",), "does not accept the configured API key .*OpenSearch takes no API keys"),
    "wrong key": (("elasticsearch",), r"does not accept the configured API key .*invalid credentials for API key"),
    "expired key": (
        ("elasticsearch",),
        "no longer accepts the configured API key .*api key is expired; make a new one",
    ),
    "invalidated key": (("elasticsearch",), "no longer accepts .*has been invalidated; make a new one"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_credentials_that_are_not_accepted_are_told_apart(
    secured: Secured, case: str, launcher: Launcher, tmp_path: Path
) -> None:
    kinds, words = REFUSED[case]
    if secured.kind not in kinds:
        return
    settings = refused(secured, case)

    with pytest.raises(AccessDenied, match=words) as caught:
        await connect(settings)
    done = launcher.run("index", "show", "--index", "kb", cwd=tmp_path, **variables(settings))

    assert caught.value.status == 401
    assert re.search(words, one_line(done))
    assert_no_secret(str(caught.value) + done.stderr, settings)


def one_line(done: Finished) -> str:
    """What a command says that failed: one line, no traceback."""
    assert (done.code, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CA that signed nothing."""
    return str(make_certificates(tmp_path_factory.mktemp("other") / "certs"))


def untrusted(secured: Secured, case: str, other_ca: str, folder: Path) -> dict[str, Any]:
    """What is wrong about the way to the engine."""
    port = secured.superuser.url.rsplit(":", 1)[1]
    (folder / "words.pem").write_text("these are words\n")
    return {
        "no CA": {"ca_cert": None},
        "another CA": {"ca_cert": other_ca},
        "no file": {"ca_cert": str(folder / "nowhere.pem")},
        "no PEM": {"ca_cert": str(folder / "words.pem")},
        "a folder": {"ca_cert": str(folder)},
        "another name": {"url": f"https://127.1:{port}"},
        "plain http": {"url": f"http://127.0.0.1:{port}"},
    }[case]


UNTRUSTED: dict[str, tuple[type[ConnectorError], str]] = {
    "no CA": (TlsError, "signed by a CA that is not trusted here .*; name that CA's PEM file in cluster.ca_cert"),
    "another CA": (
        TlsError,
        r"not signed by the CA in cluster.ca_cert '.*ca.crt' .*; name the PEM file of the CA that",
    ),
    "no file": (
        SettingsError,
        r"cluster.ca_cert '.*nowhere.pem' cannot be read \(No such file or directory\); name the PEM",
    ),
    "no PEM": (SettingsError, r"cluster.ca_cert '.*words.pem' holds no certificate; it must be a PEM file"),
    "a folder": (SettingsError, r"cannot be read \(Is a directory\); name the PEM file"),
    "another name": (TlsError, r"made out to other names \(.*127\.1.*\); put a name that it has into cluster.url"),
    "plain http": (TlsError, "speaks TLS; put https:// into cluster.url"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
async def test_a_connection_that_cannot_be_trusted_is_told_of(
    secured: Secured, case: str, other_ca: str, launcher: Launcher, tmp_path: Path
) -> None:
    error, words = UNTRUSTED[case]
    wrong = untrusted(secured, case, other_ca, tmp_path)
    settings = secured.superuser.model_copy(update=wrong)

    with pytest.raises(error, match=words) as caught:
        await connect(settings)
    done = launcher.run("search", "refunds", "--index", "kb", cwd=tmp_path, **variables(settings))

    assert type(caught.value) is error
    assert re.search(words, one_line(done))
    assert_no_secret(str(caught.value) + done.stderr, settings)


async def test_https_to_a_server_without_tls_is_told_of(secured: Secured) -> None:
    async with Proxy("http://nowhere") as plain:
        with pytest.raises(TlsError, match=r"speaks no TLS; put http:// into cluster.url"):
            await connect(secured.superuser.model_copy(update={"url": plain.url.replace("http:", "https:")}))


async def test_without_verification_any_certificate_will_do(secured: Secured) -> None:
    cluster = await connect(secured.superuser.model_copy(update={"ca_cert": None, "verify_tls": False}))
    await cluster.close()

    assert cluster.engine.kind == secured.kind


GRANTS = {"elasticsearch": "grant one of the index privileges .*{0}", "opensearch": "grant the permission {1}"}
DENIED: dict[str, tuple[str, str, str]] = {
    "create": ("create index", "create_index", "indices:admin/create"),
    "open": ("read the mapping of index", "view_index_metadata", "indices:admin/mappings/get"),
    "search": ("read index", "read", "indices:data/read/search"),
    "write": ("write to index", "index", "indices:data/write/bulk"),
    "finish": ("refresh index", "maintenance", "indices:admin/refresh"),
    "drop": ("drop index", "delete_index", "indices:admin/delete"),
}


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

    said = str(caught.value)
    grant = GRANTS[secured.kind].format(*grants)
    assert caught.value.status == 403
    assert re.search(
        rf"user \[{name}-user\] may not {verb} '{name}' \(indices:.*\); {grant}.*docs/how-to/secure.md", said
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

        assert words in one_line(done)
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


async def test_an_engine_that_forbids_its_root_is_known_by_how_it_says_so(secured: Secured, name: str) -> None:
    """In full the role of a caller, who may search and nothing else; Elasticsearch's own words come from another path
    here, because its minimal server does not guard the root."""
    user = secured.add_user(f"{name}-caller", secured.role("caller", name))
    proxy = Proxy(user.url, ca_cert=user.ca_cert)
    answer = proxy._answer

    async def answer_health(request: Any) -> Any:
        return await answer(request.clone(rel_url="/_cluster/health") if request.path == "/" else request)

    proxy._answer = answer_health
    async with proxy:
        cluster = await connect(user.model_copy(update={"url": proxy.url}))
        await cluster.close()

    assert cluster.engine.kind == secured.kind
    assert cluster.engine.version == ""


@contextlib.contextmanager
def everything_logged() -> Iterator[Callable[[], str]]:
    """All that any logger says at DEBUG, also those that do not pass it on."""
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(logging.Formatter().format(record))

    handler = Keep(logging.NOTSET)
    names = ["", "elastic_transport.node", *logging.root.manager.loggerDict]
    loggers = [logging.getLogger(name) for name in dict.fromkeys(names)]
    levels = [(one, one.level) for one in loggers]
    for one in loggers:
        one.setLevel(logging.DEBUG)
        if one.name == "root" or not one.propagate:
            one.addHandler(handler)
    try:
        yield lambda: "\n".join(records)
    finally:
        for one, level in levels:
            one.setLevel(level)
            one.removeHandler(handler)


async def test_no_secret_is_logged_shown_or_left_in_a_traceback(
    secured: Secured, name: str, encoder: Encoder, tmp_path: Path
) -> None:
    await ingest(write_source(tmp_path, 2), secured.superuser, name)
    kinds = as_every_kind(secured, f"{name}-user", secured.role("search", name))
    for settings in kinds.values():
        with everything_logged() as logged:
            await search(settings, name, encoder)
            cluster = await connect(settings)
            index = await cluster.open_index(name)
            shown = [repr(one) for one in (settings, cluster, index, vars(cluster), vars(index), vars(index._client))]
            with pytest.raises(ClusterError) as denied:
                await cluster.drop_index(name)
            with pytest.raises(ClusterError) as missing:
                await cluster.open_index(f"{name}-other")
            await cluster.close()
        said = logged()
        said += "".join("".join(traceback.format_exception(one.value)) for one in (denied, missing))
        assert "/_search" in said  # the clients did log what they sent
        assert_no_secret(said, settings)
        assert_no_secret("".join(shown), settings)
        for header in service_credentials(settings).header.values():
            assert header not in said
            assert header not in "".join(shown)
