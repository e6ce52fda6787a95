"""What a user gives, and where: each origin, secrets in files and variables, and what of that cannot be used."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.programs.other_user import as_other_user

from connector.errors import SettingsError
from connector.settings.given import GivenValue, Unusable, read_secret
from connector.settings.load import LoadedSettings, load, load_settings

PASSWORD = "CONNECTOR_CLUSTER_PASSWORD"


def loaded(text: str = "", environ: Mapping[str, str] | None = None, **overrides: Any) -> LoadedSettings:
    Path("settings.yaml").write_text(text, encoding="utf-8")
    layer = {name.replace("__", "."): value for name, value in overrides.items()}
    return load(file=Path("settings.yaml"), environ=environ or {}, overrides=layer)


def problem(text: str = "", environ: Mapping[str, str] | None = None, **overrides: Any) -> str:
    """The only problem that there is."""
    (found,) = loaded(text, environ, **overrides).problems
    return str(found)


def password(text: str = "", environ: Mapping[str, str] | None = None) -> str | None:
    found = loaded(text, environ).require().cluster.password
    return found.get_secret_value() if found else None


def secret_file(content: str | bytes) -> str:
    path = Path("secret").absolute()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_every_value_knows_where_it_stands() -> None:
    text = (
        "search:\n  k: 3\n  fusion:\n    kind: rrf\nindex: {name: a,\n  analyzer: b}\nfields:\n  text:\n    title: 2\n"
    )
    found = loaded(text, {"CONNECTOR_SEARCH_DEPTH": "70"}, rerankers__local__model="a").given

    assert {path: setting.origin for path, setting in found.items()} == {
        "search.k": "settings.yaml:2",
        "search.fusion.kind": "settings.yaml:4",
        "index.name": "settings.yaml:5",
        "index.analyzer": "settings.yaml:6",
        "fields.text": "settings.yaml:8",
        "search.depth": "CONNECTOR_SEARCH_DEPTH",
        "rerankers.local.model": "flag",
    }


def test_the_origin_is_that_of_the_layer_that_won() -> None:
    text, environ = "search: {k: 3, depth: 60}", {"CONNECTOR_SEARCH_K": "4", "CONNECTOR_SEARCH_DEPTH": "70"}
    found = loaded(text, environ, search__k=5).given

    assert found == {
        "search.k": GivenValue(5, "flag", exposed=True),
        "search.depth": GivenValue("70", "CONNECTOR_SEARCH_DEPTH"),
    }


def test_a_section_given_whole_changes_only_what_it_names() -> None:
    settings = loaded("search: {k: 3, depth: 60}", {}, search={"k": 4, "fusion": {"kind": "linear"}}).require()

    assert (settings.search.k, settings.search.depth, settings.search.fusion.kind) == (4, 60, "linear")


def test_parts_of_one_setting_add_up() -> None:
    settings = loaded("", {}, **{"fields.text.title": 2.0, "fields.text.body": 1.0}).require()

    assert settings.fields.text == {"title": 2.0, "body": 1.0}


def test_every_problem_of_every_layer_is_said_with_its_place() -> None:
    text = "serch: {k: 1}\nsearch:\n  k: many\n  dept: 2\nworker: 5\n"
    environ = {"CONNECTOR_SERCH_K": "1", "CONNECTOR_WORKER_PORT": "99999"}

    assert [str(noted) for noted in loaded(text, environ, search__depht=1).problems] == [
        "settings.yaml:1: unknown setting 'serch'; did you mean 'search'?",
        "settings.yaml:4: unknown setting 'search.dept'; did you mean 'search.depth'?",
        "settings.yaml:5: 'worker' is a section: write its settings below it",
        "unknown environment variable CONNECTOR_SERCH_K; did you mean CONNECTOR_SEARCH_K?",
        "flag: unknown setting 'search.depht'; did you mean 'search.depth'?",
        "settings.yaml:3: search.k: Input should be a valid integer, unable to parse string as an integer (got 'many')",
        "CONNECTOR_WORKER_PORT: worker.port: Input should be less than or equal to 65535 (got '99999')",
    ]


def test_a_setting_in_the_wrong_section_is_named_with_its_own() -> None:
    assert "did you mean 'search.fusion.rank_constant'" in problem("index: {rank_constant: 5}")
    assert "did you mean 'search.fusion.normalisation'" in problem("normalisation: minmax")


@pytest.mark.parametrize("text", ["search: {k: 1, k: 2}", "search: {k: 1}\nindex:\n  name: a\nsearch: {depth: 60}"])
def test_what_stands_twice_is_refused(text: str) -> None:
    assert "is also in line 1; keep one of the two" in problem(text)


def test_anchors_and_merges_work_as_in_any_yaml() -> None:
    text = "search: &base {k: 7, depth: 60}\nfields: {text: &t {a: 1}}\nindex: {text_fields: *t}\n"
    settings = loaded(text + "worker: {port: 20}\n").require()
    merged = loaded("x: &base {k: 7, depth: 60}\nsearch: {<<: *base, depth: 70}\n")

    assert settings.index.text_fields == {"a": 1.0}
    assert [str(noted) for noted in merged.problems] == ["settings.yaml:1: unknown setting 'x'"]
    assert (merged.given["search.k"].value, merged.given["search.depth"].value) == (7, 70)


def test_empty_sections_of_any_depth_change_nothing() -> None:
    assert loaded("search:\n  fusion:\nindex:\n  vectors:\n").given == {}


def test_an_empty_variable_is_not_given() -> None:
    assert loaded("search: {k: 3}", {"CONNECTOR_SEARCH_K": "", PASSWORD: "", f"{PASSWORD}_FILE": ""}).given.keys() == {
        "search.k"
    }


def test_what_kubernetes_says_of_services_is_no_setting() -> None:
    environ = {
        "CONNECTOR_WORKER_SERVICE_HOST": "10.0.0.1",
        "CONNECTOR_WORKER_SERVICE_PORT": "8787",
        "CONNECTOR_WORKER_SERVICE_PORT_HTTP": "8787",
        "CONNECTOR_WORKER_PORT": "tcp://10.0.0.1:8787",
        "CONNECTOR_WORKER_PORT_8787_TCP": "tcp://10.0.0.1:8787",
        "CONNECTOR_WORKER_PORT_8787_TCP_ADDR": "10.0.0.1",
        "CONNECTOR_WORKER_PORT_8787_TCP_PROTO": "tcp",
    }

    assert loaded("", environ).given == {}
    assert loaded("", environ | {"CONNECTOR_WORKER_PORT": "9000"}).require().worker.port == 9000


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n"])
def test_a_secret_comes_from_a_file_without_its_last_line_break(ending: str) -> None:
    file = secret_file(f" pass word {ending}")

    assert password("", {f"{PASSWORD}_FILE": file}) == " pass word "
    assert password(f"cluster: {{password: {{file: {file}}}}}") == " pass word "


def test_every_secret_has_a_twin_for_its_file() -> None:
    file = secret_file("abc")
    environ = {f"CONNECTOR_CLUSTER_{name}_FILE": file for name in ("PASSWORD", "API_KEY", "BEARER_TOKEN")}
    found = loaded("", environ)

    assert {path: (setting.value, setting.origin) for path, setting in found.given.items()} == {
        f"cluster.{name.lower()}": ("abc", f"CONNECTOR_CLUSTER_{name}_FILE (file {file})")
        for name in ("PASSWORD", "API_KEY", "BEARER_TOKEN")
    }
    assert "did you mean CONNECTOR_SEARCH" not in problem("", {"CONNECTOR_SEARCH_K_FILE": file})[:30]


def test_a_secret_comes_from_a_variable_that_the_file_names() -> None:
    found = loaded("cluster: {password: {env: MY_PASSWORD}}", {"MY_PASSWORD": "[abc"})

    assert password("cluster: {password: {env: MY_PASSWORD}}", {"MY_PASSWORD": "[abc"}) == "[abc"
    assert found.given["cluster.password"].origin == "settings.yaml:1 (variable MY_PASSWORD)"
    assert not found.given["cluster.password"].exposed


def test_the_environment_is_above_a_secret_in_the_file() -> None:
    text = f"cluster: {{password: {{file: {secret_file('from file')}}}}}"

    assert password(text, {PASSWORD: "from environment"}) == "from environment"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"the file /.*/secret cannot be read \(No such file or directory\); check its path and mode"),
        ("", "the file /.*/secret is empty; write the secret into it"),
        ("\n", "the file /.*/secret is empty; write the secret into it"),
        (b"\xff\xfe", "the file /.*/secret is not UTF-8 text"),
        ("x" * 70_000, "the file /.*/secret is longer than 65536 bytes; is it the right one"),
        ("user\nhunter2\n", "cluster.password: a line break or another control character is in it"),
    ],
    ids=["missing", "empty", "only a line break", "binary", "long", "two lines"],
)
def test_a_file_that_holds_no_secret_is_named(content: str | bytes | None, words: str) -> None:
    file = secret_file(content or "")
    if content is None:
        Path(file).unlink()
    for text, environ, origin in (
        ("", {f"{PASSWORD}_FILE": file}, f"{PASSWORD}_FILE"),
        (f"cluster:\n  password: {{file: {file}}}", {}, "settings.yaml:2"),
    ):
        with pytest.raises(SettingsError, match=words) as refused:
            loaded(text, environ).require()

        assert str(refused.value).startswith(origin)
        assert "hunter2" not in str(refused.value)


def test_a_file_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        file = Path(folder, "secret")
        file.write_text("abc")
        file.chmod(0o644)
        with as_other_user():
            readable = read_secret(str(file))
        file.chmod(0)
        with as_other_user(), pytest.raises(Unusable) as refused:
            read_secret(str(file))

    assert readable == "abc"
    assert str(refused.value) == f"the file {file} cannot be read (Permission denied); check its path and mode"


def test_a_folder_in_place_of_a_secrets_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in problem("", {f"{PASSWORD}_FILE": str(tmp_path)})


@pytest.mark.parametrize("name", ["hunter2", "hunter2/x", "~nobody-here/hunter", "hunter2\0"])
def test_a_secret_in_place_of_its_files_name_is_not_repeated(name: str) -> None:
    message = problem("", {f"{PASSWORD}_FILE": name})

    assert "cannot be read" in message
    assert "hunter2" not in message


def test_a_secret_given_both_ways_is_refused() -> None:
    environ = {PASSWORD: "abc", f"{PASSWORD}_FILE": secret_file("abc")}

    assert problem("", environ) == f"{PASSWORD}_FILE and {PASSWORD} are both given; keep one of the two"


@pytest.mark.parametrize("value", ["{file: a, env: b}", "{path: a}", "{file: 1}", "[a]", "12345", "true", "{}"])
def test_a_secret_of_another_shape_is_told_what_it_can_be(value: str) -> None:
    assert "a secret is text in quotes, {file: PATH} or {env: NAME}" in problem(f"cluster: {{password: {value}}}")


def test_a_variable_that_is_not_there_is_named() -> None:
    text = "cluster: {password: {env: MY_PASSWORD}}"

    assert problem(text) == "settings.yaml:1: cluster.password: the environment has no such variable as MY_PASSWORD"


# in lines, since how long PyYAML takes for what could be a key grows with the square of the brackets before it
@pytest.mark.parametrize("text", ["[\n" * 1_500, "cluster: {url: " + "[\n" * 1_500 + "]" * 1_500 + "}"])
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="nested too deeply"):
        loaded(text).require()


def test_the_process_environment_is_only_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PASSWORD}_FILE", secret_file("abc"))
    found = load_settings().cluster.password

    assert found
    assert found.get_secret_value() == "abc"
    assert load_settings(environ={}).cluster.password is None


@pytest.mark.parametrize(
    ("path", "given"),
    [("index.vector_field", "embedding"), ("index.text_fields", "{title: 2}"), ("cluster.password", "secret-word")],
)
def test_null_takes_back_what_a_source_below_gives(path: str, given: str) -> None:
    section, name = path.split(".")
    text = f"{section}:\n  {name}: {given}\n"
    variable = loaded(text, {f"CONNECTOR_{section}_{name}".upper(): "null"})
    flag = loaded(text, {f"CONNECTOR_{section}_{name}".upper(): given}, **{path: "null"})

    assert getattr(getattr(loaded(text).require(), section), name) is not None
    assert getattr(getattr(variable.require(), section), name) is None
    assert getattr(getattr(flag.require(), section), name) is None
    assert (variable.given[path].origin, flag.given[path].origin) == (f"CONNECTOR_{section}_{name}".upper(), "flag")


def test_null_is_a_word_where_a_setting_always_has_a_value_or_a_file_has_it_in_quotes() -> None:
    assert loaded("", {"CONNECTOR_INDEX_NAME": "null"}).require().index.name == "null"
    assert loaded("index: {vector_field: 'null'}").require().index.vector_field == "null"
    assert loaded("index: {vector_field: null}").require().index.vector_field is None
    assert "CONNECTOR_SEARCH_K: search.k: Input should be a valid integer" in problem(
        "", {"CONNECTOR_SEARCH_K": "null"}
    )


def test_a_control_character_in_a_file_or_a_value_is_told() -> None:
    assert problem("search: {k: \x1f}") == (
        "settings.yaml is not YAML: a control character is in it; check how it was written"
    )
    assert "search.rerank" in problem("", {"CONNECTOR_SEARCH_RERANK": "[1, \x1f]"})
