"""Settings that load but should be looked at: secrets that others can read, connections that others can listen to."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from connector.settings.load import LoadedSettings, setting_names
from connector.settings.names import FILE_SUFFIX, env_name
from connector.settings.sections import ClusterSettings, Settings


@dataclass(frozen=True, slots=True)
class SettingsWarning:
    """What is not good about a setting, where it stands, and what to do."""

    path: str
    seen: str
    advice: str
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.path}: {self.seen}; {self.advice}".removeprefix(": ")


def find_warnings(loaded: LoadedSettings) -> list[SettingsWarning]:
    """What should be looked at in settings that could be loaded; looks at the mode of files that hold secrets."""
    settings = loaded.require()
    return [
        *_secrets(loaded),
        *_cluster(settings.cluster),
        *_worker("encoder", settings.encoder.url, settings.encoder.api_key),
        *_worker("judge", settings.judge.url, settings.judge.api_key),
        *(
            warning
            for name, reranker in settings.rerankers.items()
            for warning in _worker(f"rerankers.{name}", reranker.url, reranker.api_key)
        ),
        *_unused(settings),
    ]


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this very machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:  # no address, or no URL at all
        return False


def _secrets(loaded: LoadedSettings) -> Iterator[SettingsWarning]:
    for path in sorted(filter(setting_names().is_secret, loaded.given)):
        given = loaded.given[path]
        if given.value is None:
            continue
        if given.exposed and given.file:
            yield SettingsWarning(
                path,
                "a secret stands in the settings file",
                f"set {env_name(path)}, name a file in {env_name(path)}{FILE_SUFFIX}, or write {{file: PATH}} here",
                given.origin,
            )
        if given.file and _others_can_read(given.file):
            yield SettingsWarning(
                path, f"others can read {given.file}, which holds a secret", f"chmod 600 {given.file}"
            )


def _cluster(cluster: ClusterSettings) -> Iterator[SettingsWarning]:
    secrets = [name for name in ("api_key", "bearer_token", "password") if getattr(cluster, name)]
    if secrets and cluster.url.startswith("http://") and not is_loopback(cluster.url):
        yield SettingsWarning(
            "cluster.url", "credentials are sent over http, for anyone on the way to read", "use https"
        )
    if cluster.url.startswith("https://") and not cluster.verify_tls:
        yield SettingsWarning(
            "cluster.verify_tls",
            "false: whoever answers is taken for the cluster, and gets the credentials",
            "set it to true and name the certificate's CA in cluster.ca_cert",
        )
    if cluster.ca_cert and not Path(cluster.ca_cert).expanduser().is_file():
        yield SettingsWarning("cluster.ca_cert", f"there is no file {cluster.ca_cert}", "name the PEM file of the CA")
    if len(secrets) > 1:
        yield SettingsWarning(
            f"cluster.{secrets[1]}", f"not used beside cluster.{secrets[0]}", "keep the one that is meant to be used"
        )
    if bool(cluster.username) != bool(cluster.password) and secrets in ([], ["password"]):
        given, missing = ("username", "password") if cluster.username else ("password", "username")
        yield SettingsWarning(f"cluster.{given}", f"given without cluster.{missing}", "give both or neither")


def _worker(section: str, url: str | None, api_key: SecretStr | None) -> Iterator[SettingsWarning]:
    if api_key and url and url.startswith("http://") and not is_loopback(url):
        yield SettingsWarning(
            f"{section}.url", "its API key is sent over http, for anyone on the way to read", "use https"
        )


def _unused(settings: Settings) -> Iterator[SettingsWarning]:
    """Rerankers that no stage reranks with; where nothing is reranked, none is asked for."""
    used = {stage.reranker for stage in settings.search.rerank}
    for name in settings.rerankers:
        if used and name not in used:
            yield SettingsWarning(
                f"rerankers.{name}", "no stage of search.rerank uses it", f"add a stage: {{reranker: {name}}}"
            )


def _others_can_read(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
