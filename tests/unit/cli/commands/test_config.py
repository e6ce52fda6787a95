"""`connector config` as a user runs it, and that no command ever says a secret."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path

import pytest
from support.programs.command import Finished, Launcher
from support.runs.effort import IS_SOAK
from support.servers.http_server import QuietHandler, listening

from connector.settings.file import build_file
from connector.settings.load import load_settings, setting_paths
from connector.settings.names import env_name
from connector.settings.sections import Settings

SECRET = "hunter2-Tr0ub4dor"
USER = "someone"
VARIABLE = {"password": "CONNECTOR_CLUSTER_PASSWORD", "api_key": "CONNECTOR_CLUSTER_API_KEY",
            "bearer_token": "CONNECTOR_CLUSTER_BEARER_TOKEN"}  # fmt: skip


def uncommented(text: str) -> str:
    return re.sub(r"^( *)#(?=\w)", r"\1", text, flags=re.MULTILINE)


def test_init_writes_a_file_that_changes_nothing(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run("config", "init", cwd=tmp_path)

    assert (done.code, done.stdout, done.stderr) == (0, "", "wrote connector.yaml\n")
    assert load_settings(file=tmp_path / "connector.yaml", environ={}) == Settings()
    assert launcher.run("config", "check", "--strict", cwd=tmp_path).code == 0


def test_the_written_file_has_every_setting_with_its_meaning(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(uncommented(build_file()))
    loaded = load_settings(file=file, environ={})
    lines = build_file().splitlines()
    settings = [at for at, line in enumerate(lines) if re.match(r" *#\w", line)]

    assert loaded == Settings()
    assert len(settings) == len(list(setting_paths()))
    assert all(lines[at - 1].lstrip().startswith("# ") for at in settings)
    assert max(map(len, lines)) <= 120


def test_the_written_file_gives_every_setting_when_uncommented(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "connector.yaml").write_text(uncommented(build_file()))
    rows = json.loads(launcher.run("config", "show", "--changed", "--json", cwd=tmp_path).stdout)

    assert sorted(rows) == sorted(setting_paths())
    assert {row["origin"].partition(":")[0] for row in rows.values()} == {"connector.yaml"}


def test_a_commented_setting_can_be_changed_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(build_file().replace("#rank_constant: 60", "rank_constant: 20"))

    assert load_settings(file=file, environ={}).search.fusion.rank_constant == 20


def test_init_overwrites_only_when_told_to(launcher: Launcher, tmp_path: Path) -> None:
    mine = tmp_path / "connector.yaml"
    mine.write_text("search: {k: 3}\n")
    refused = launcher.run("config", "init", cwd=tmp_path)
    kept = mine.read_text()
    forced = launcher.run("config", "init", "--force", cwd=tmp_path)
    elsewhere = launcher.run("config", "init", "no-such-folder/x.yaml", cwd=tmp_path)

    assert (refused.code, kept, forced.code) == (2, "search: {k: 3}\n", 0)
    assert "connector.yaml exists already; --force overwrites it" in refused.stderr
    assert mine.read_text() == build_file()
    assert elsewhere.code == 2
    assert "cannot write no-such-folder/x.yaml (No such file or directory)" in elsewhere.stderr


def test_init_writes_to_stdout(launcher: Launcher, tmp_path: Path) -> None:
    assert launcher.run("config", "init", "-", cwd=tmp_path).stdout == build_file()
    assert list(tmp_path.iterdir()) == []


def test_show_says_where_each_value_comes_from(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "connector.yaml").write_text("search:\n  k: 3\ncluster: {username: me}\n")
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    variables = {f"{VARIABLE['password']}_FILE": "secret", "CONNECTOR_RERANKERS_LOCAL_MODEL": "bge"}
    flags = ("--set", "search.depth=70", "--cluster", "embedded:x", "-i", "mine")
    as_json = launcher.run("config", "show", "--json", *flags, cwd=tmp_path, **variables)
    table = launcher.run("config", "show", "--changed", *flags, cwd=tmp_path, **variables)
    rows = json.loads(as_json.stdout)

    assert sorted(rows) == sorted(setting_paths())
    assert {path: row["origin"] for path, row in rows.items() if row["origin"] != "default"} == {
        "search.k": "connector.yaml:2",
        "cluster.username": "connector.yaml:3",
        "cluster.password": f"{VARIABLE['password']}_FILE (file secret)",
        "rerankers.local.model": "CONNECTOR_RERANKERS_LOCAL_MODEL",
        "search.depth": "flag",
        "cluster.url": "flag",
        "index.name": "flag",
    }
    assert (rows["search.k"]["value"], rows["cluster.password"]["value"]) == (3, "***")
    assert (rows["cluster.api_key"]["value"], rows["search.rerank"]["value"]) == (None, [{"reranker": "local"}])
    cells = [[cell.strip() for cell in line.split("│")] for line in table.stdout.splitlines() if "│" in line]
    assert ["search.k", "3", "connector.yaml:2"] in cells
    assert ["cluster.password", "***", f"{VARIABLE['password']}_FILE (file secret)"] in cells
    assert len(cells) == 7


def test_check_says_everything_that_is_wrong(launcher: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("serch: {k: 1}\nsearch:\n  k: many\n")
    done = launcher.run("config", "check", "broken.yaml", cwd=tmp_path, CONNECTOR_FOO="1")
    as_json = launcher.run("config", "check", "broken.yaml", "--json", cwd=tmp_path, CONNECTOR_FOO="1")

    assert done.code == as_json.code == 2
    assert done.stdout.splitlines()[0] == "error: broken.yaml:1: unknown setting 'serch'; did you mean 'search'?"
    assert "error: broken.yaml:3: search.k: Input should be a valid integer" in done.stdout
    assert "error: unknown environment variable CONNECTOR_FOO" in done.stdout
    assert done.stdout.splitlines()[-1] == "broken.yaml and the environment: 3 errors, 0 warnings"
    assert [len(json.loads(as_json.stdout)[name]) for name in ("errors", "warnings")] == [3, 0]


def test_check_fails_for_warnings_only_when_strict(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "connector.yaml").write_text(f"cluster: {{username: me, password: {SECRET}}}\n")
    lax = launcher.run("config", "check", cwd=tmp_path)
    strict = launcher.run("config", "check", "--strict", cwd=tmp_path)
    without = launcher.run("config", "check", "gone.yaml", cwd=tmp_path)

    assert (lax.code, strict.code, without.code) == (0, 1, 2)
    assert lax.stdout == strict.stdout
    assert "warning: connector.yaml:1: cluster.password: a secret stands in the settings file" in lax.stdout
    assert "error: there is no settings file gone.yaml" in without.stdout


@pytest.mark.parametrize(
    "given",
    [
        (f"cluster.password={SECRET}",),
        (f"cluster={{password: {SECRET}, username: me}}",),
        (f"cluster.api_key={SECRET}", "cluster.api_key={file: x}"),
    ],
)
def test_a_secret_in_a_flag_is_refused(launcher: Launcher, tmp_path: Path, given: tuple[str, ...]) -> None:
    (tmp_path / "x").write_text("abc")
    flags = [flag for setting in given[:1] for flag in ("--set", setting)]
    done = launcher.run("config", "show", *flags, cwd=tmp_path)
    path = "cluster.api_key" if "api_key" in given[0] else "cluster.password"
    by_reference = launcher.run(
        "config", "show", *[f for setting in given[1:] for f in ("--set", setting)], cwd=tmp_path
    )

    assert done.code == 2
    assert f"{path} cannot be given as a flag, which every list of processes shows; set {env_name(path)}" in done.stderr
    assert lines_of(done) == []
    assert by_reference.code == 0


def test_a_secret_behind_a_flag_that_is_written_wrongly_is_not_repeated(launcher: Launcher, tmp_path: Path) -> None:
    done = launcher.run("config", "show", "--set", f"cluster.password: {SECRET}", cwd=tmp_path)

    assert done.code == 2
    assert "--set takes PATH=VALUE, not 'cluster.password…'" in done.stderr
    assert lines_of(done) == []


class Refusing(QuietHandler):
    """Refuses every request as a cluster refuses wrong credentials."""

    def do_GET(self) -> None:
        body = b'{"error": {"reason": "unable to authenticate user [someone] for REST request [/]"}}'
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_HEAD = do_GET


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """The URL of a server that refuses every request with 401."""
    with listening(Refusing) as url:
        yield url


def lines_of(done: Finished) -> list[str]:
    """The forms of the secret that a command has said on either stream."""
    basic = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
    pieces = [SECRET, SECRET[:7], SECRET[-9:], basic, base64.b64encode(SECRET.encode()).decode(), repr(SECRET.encode())]
    return [piece for piece in pieces if piece in done.stdout + done.stderr]


PLACES = ("variable", "file of a variable", "settings file", "file of the settings file")


def place_secret(folder: Path, name: str, place: str) -> dict[str, str]:
    """Give the secret to the commands that run in the folder; the variables for them."""
    (folder / "secret").write_text(SECRET)
    value = {"settings file": SECRET, "file of the settings file": "{file: secret}"}.get(place)
    text = f"cluster:\n  username: {USER}\n" + (f"  {name}: {value}\n" if value else "")
    (folder / "connector.yaml").write_text(text)
    variables = {"variable": {VARIABLE[name]: SECRET}, "file of a variable": {f"{VARIABLE[name]}_FILE": "secret"}}
    return variables.get(place, {})


PLACED = [*product(PLACES, VARIABLE)] if IS_SOAK else [*zip(PLACES, cycle(VARIABLE), strict=False)]


@pytest.mark.parametrize(("place", "name"), PLACED)
def test_no_command_on_settings_says_a_secret(launcher: Launcher, tmp_path: Path, place: str, name: str) -> None:
    environ = place_secret(tmp_path, name, place)
    table = launcher.run("config", "show", cwd=tmp_path, **environ)
    as_json = launcher.run("config", "show", "--json", cwd=tmp_path, **environ)
    checked = launcher.run("config", "check", "--strict", cwd=tmp_path, **environ)
    late = launcher.run("config", "show", "--set", "search.k=0", cwd=tmp_path, **environ)

    assert json.loads(as_json.stdout)[f"cluster.{name}"]["value"] == "***"
    assert "***" in table.stdout
    assert late.code == 2
    assert [lines_of(done) for done in (table, as_json, checked, late)] == [[], [], [], []]


@pytest.mark.parametrize(("name", "place"), [("password", "variable"), ("api_key", "file of the settings file")])
def test_no_command_says_a_secret_that_is_refused(
    launcher: Launcher, tmp_path: Path, refusing: str, name: str, place: str
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"_id": "1", "text": "a row"}\n')
    environ = place_secret(tmp_path, name, place) | {"CONNECTOR_CLUSTER_URL": refusing, "CONNECTOR_LOG_LEVEL": "debug"}
    commands = {
        ("doctor", "--json", "--set", "encoder.model=./no-model"): 1,
        ("index", "show"): 2,
        ("search", "some words", "--no-rerank"): 2,
        ("ingest", "rows.jsonl", "--log-format", "json"): 2,
    }
    for command, code in commands.items():
        done = launcher.run(*command, cwd=tmp_path, **environ)

        assert (done.code, lines_of(done)) == (code, [])
        assert refusing in done.stdout + done.stderr  # it was asked, and refused


BROKEN = (
    "cluster: {{{name}: {secret}",
    "cluster:\n  {name}:{secret}\n  url: x",
    "cluster: {{{name}:{secret}}}",
    "cluster:\n  {name}: *{secret}\n",
    "cluster:\n  {name}: [{secret}]\n",
    "cluster:\n  {name}: {{file: {secret}}}\n",
    "cluster:\n  {name}: {{env: {secret}}}\n",
    "cluster:\n  {name}: {secret}\n  {name}: {secret}\n",
    'cluster:\n  {name}: "{secret}\\x01"\n',
    "cluster:\n  {name}: {secret}\n  url: https://{user}:{secret}@db:9200\n",
    "cluster:\n  {name}: {secret}\n  timeout_s: -1\n\tk: 1\n",
    "cluster: {secret}\n",
    "{secret}\n",
)


LOADING = (("search", "words"), ("ingest", "rows.jsonl", "--log-format", "json"))
LOADED = (
    [*product(BROKEN, VARIABLE, LOADING)] if IS_SOAK else [*zip(BROKEN, cycle(VARIABLE), cycle(LOADING), strict=False)]
)


@pytest.mark.parametrize(("text", "name", "command"), LOADED)
def test_no_broken_settings_file_says_a_secret(
    launcher: Launcher, tmp_path: Path, text: str, name: str, command: tuple[str, ...]
) -> None:
    """The names of secrets, and the commands that load the settings, take turns, since what is said is made at one
    place; a soak has all with all."""
    (tmp_path / "connector.yaml").write_text(text.format(name=name, secret=SECRET, user=USER))
    checked, loaded = (launcher.run(*words, cwd=tmp_path) for words in (("config", "check"), command))

    assert (checked.code, loaded.code) == (2, 2)
    assert (lines_of(checked), lines_of(loaded)) == ([], [])
    assert "Traceback" not in checked.stderr + loaded.stderr
