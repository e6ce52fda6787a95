"""What docker/ tells others to run fits the schema of Compose, and names only what exists here."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from dockerfile_parse import DockerfileParser
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from support.programs.stack import DOCKER, read_image, read_services
from support.repository.pages import ROOT
from support.repository.project import PROJECT, refuse_unknown_flags
from support.servers.running_engines import ENGINES

from connector.settings.load import load_settings
from connector.settings.sections import IngestSettings

STRUCTURE = DockerfileParser(str(DOCKER / "Dockerfile")).structure
PROFILES = ("elasticsearch", "opensearch")


def dockerfile(instruction: str, beginning: str) -> str:
    """The one instruction of the Dockerfile that begins so."""
    (found,) = [
        step["value"]
        for step in STRUCTURE
        if step["instruction"] == instruction and step["value"].startswith(beginning)
    ]
    return str(found)


def test_the_compose_file_fits_the_compose_specification() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    stack = yaml.safe_load((DOCKER / "compose.yaml").read_text())

    assert [error.message for error in validator.iter_errors(stack)] == []
    assert [error.message for error in validator.iter_errors(stack | {"services": {"worker": {"imago": "x"}}})]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_the_services_run_exists(profile: str) -> None:
    image = read_image()
    for service in read_services(profile).values():
        if service.built:
            settings = load_settings(environ=image.environment | service.environment)
            refuse_unknown_flags(list(service.command))

            assert settings.index.name == "connector-example"
            assert settings.worker.host == "0.0.0.0"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_stack_is_for_this_machine_only_and_keeps_what_it_needs(profile: str) -> None:
    active = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for name, service in read_services(profile).items():
        written = active[name]

        assert all(port.startswith("127.0.0.1:") for port in written.get("ports", []))
        assert "mem_limit" in written
        assert written["restart"] == ("no" if name in ("ingest", "search") else "unless-stopped")
        if service.built:
            assert written["read_only"]
            assert written["init"]
            assert written["cap_drop"] == ["ALL"]
        else:
            assert list(service.mounts.values()) == [None]  # its data, in a volume
    assert read_services(profile)["ingest"].stop_grace_s >= IngestSettings().grace_s + 10
    assert read_services(profile)["ingest"].mounts["/corpus"] == ROOT / "examples" / "corpus"


@pytest.mark.parametrize(("profile", "engine"), [("elasticsearch", "es9"), ("opensearch", "os3")])
def test_the_engines_are_of_the_tested_versions_unless_another_is_named(profile: str, engine: str) -> None:
    other = read_services(profile, {f"{profile.upper()}_VERSION": "1.2.3"})[profile]

    assert read_services(profile)[profile].image.endswith(f"{profile}:{ENGINES[engine].version}")
    assert other.image.endswith(f"{profile}:1.2.3")


def test_nothing_starts_without_a_profile() -> None:
    assert read_services("") == {}


def test_the_image_runs_our_command_as_a_user_with_no_rights() -> None:
    image = read_image()
    instructions = {step["instruction"] for step in STRUCTURE}

    assert image.entrypoint == ("connector",)
    assert "connector" in PROJECT["scripts"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", image.user)
    assert "HEALTHCHECK" not in instructions  # jobs would be unhealthy


def test_what_the_image_copies_is_there_and_enough_to_build_the_package() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copies = [step["value"].split() for step in STRUCTURE if step["instruction"] == "COPY"]
    copied = {name for *names, _ in copies for name in names if not names[0].startswith("--from")}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    assert {PROJECT["readme"], *PROJECT["license-files"], *build["packages"], *build["force-include"]} < copied


def test_the_image_installs_extras_that_the_package_has_and_none_that_brings_torch() -> None:
    extras = PROJECT["optional-dependencies"]
    installed = dockerfile("ARG", "EXTRAS=").split("=")[1].strip('"').split()
    needed = [wanted for extra in installed for wanted in extras[extra]]

    assert {"local", "worker", "files"} <= {*installed} <= {*extras}
    assert "torch" in extras  # what --build-arg TORCH adds
    assert [wanted for wanted in needed if re.match(r"torch|sentence-transformers|hybrid.*torch", wanted)] == []


def test_what_fetches_packages_has_the_secrets_of_the_build() -> None:
    runs = [step["value"] for step in STRUCTURE if step["instruction"] == "RUN"]
    fetching = [run for run in runs if re.search(r"\b(pip install|uv build)\b", run) and "/wheel/*.whl" not in run]

    assert len(fetching) == 3
    for run in fetching:
        assert {"--mount=type=secret,id=index_url", "--mount=type=secret,id=ca"} <= {*run.split()}
        assert re.search(r"fetching (uv |pip )", run)


def test_secrets_of_the_build_reach_pip_and_uv_and_nothing_is_left(tmp_path: Path) -> None:
    for name, text in {
        "system": "first\n",
        "ca": "second\n",
        "index_url": "https://me:word@example.org/simple\n",
    }.items():
        (tmp_path / name).write_text(text)
    environ = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(tmp_path / "system"), "TMPDIR": str(tmp_path)}
    show = 'cat "$SSL_CERT_FILE"; cat "$PIP_CERT"; echo "$PIP_INDEX_URL $UV_DEFAULT_INDEX"; exit 7'

    def fetching(secrets: Path) -> subprocess.CompletedProcess[str]:
        command = ["sh", DOCKER / "fetching", "sh", "-c", show]
        return subprocess.run(
            command, env=environ | {"SECRETS": str(secrets)}, capture_output=True, text=True, check=False
        )

    with_secrets, without = fetching(tmp_path), fetching(tmp_path / "none")

    assert with_secrets.stdout.split() == [*["first", "second"] * 2, *["https://me:word@example.org/simple"] * 2]
    assert (with_secrets.returncode, without.returncode) == (7, 7)
    assert without.stdout.split() == ["first", "first"]
    assert {path.name for path in tmp_path.iterdir()} == {"system", "ca", "index_url"}


def test_the_image_says_what_it_is() -> None:
    labels = dockerfile("LABEL", "org.opencontainers")

    assert f'version="{PROJECT["version"]}"' in labels
    assert f'title="{PROJECT["name"]}"' in labels
    assert f'licenses="{PROJECT["license"]}"' in labels
    assert f'description="{PROJECT["description"]}"' in labels
