"""Maven's own settings: which mirror stands for Maven Central, with which user, through which proxy.

Read from `~/.m2/settings.xml`, then from `$MAVEN_HOME/conf/settings.xml`. Repositories of profiles are not asked."""

from __future__ import annotations

import fnmatch
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from connector.errors import ModelError

# Maven's own address of its public repository, whose mirrors people name by `central`. It stays in the code: without it
# who has no settings.xml could fetch no model from there. It is asked where the hub gave nothing, or by `--from maven`
CENTRAL = "https://repo.maven.apache.org/maven2"
VARIABLE = re.compile(r"\$\{([^}]+)\}")
ENCRYPTED = re.compile(r".*\{.+\}.*")


@dataclass(frozen=True, slots=True)
class MavenRepository:
    """Where jars are asked for; `named_by` is what named it, for messages."""

    url: str
    named_by: str
    username: str | None = None
    password: SecretStr | None = None
    proxy: SecretStr | None = None  # its address may hold a password

    @property
    def auth(self) -> tuple[str, str] | None:
        return (self.username, self.password.get_secret_value() if self.password else "") if self.username else None


def read_repository(files: list[Path] | None = None) -> MavenRepository:
    """What Maven takes for Maven Central here. Raises ModelError for settings that cannot be read."""
    found = [(file, _parse(file)) for file in (settings_files() if files is None else files) if file.is_file()]
    url, named_by, server = CENTRAL, "Maven Central", "central"
    for file, root in found:
        mirror = next((element for element in root.iterfind("mirrors/mirror") if _mirrors_central(element)), None)
        if mirror is not None:  # an element without children counts as false
            url, named_by, server = _text(mirror, "url"), f"the mirror in {file}", _text(mirror, "id")
            break
    if not url.startswith(("https://", "http://")):
        raise ModelError(f"{named_by} has the address {url!r}, which is neither https nor http")
    username, password = None, None
    for file, root in found:
        for entry in root.iterfind("servers/server"):
            if _text(entry, "id") == server and username is None:
                username, password = _text(entry, "username") or None, _password(entry, file)
    proxy = next(filter(None, (_proxy(root, urlsplit(url).hostname or "", file) for file, root in found)), None)
    return MavenRepository(url.rstrip("/"), named_by, username, password, proxy)


def local_repositories() -> Iterator[Path]:
    """Where Maven keeps what it has fetched."""
    for file in settings_files():
        with suppress(ModelError):  # told where it matters: where a mirror is looked for
            if file.is_file() and (named := _text(_parse(file), "localRepository")):
                yield Path(named)
    yield Path.home() / ".m2" / "repository"


def settings_files() -> list[Path]:
    """Maven's settings of this user, then those of this machine's Maven."""
    homes = [os.environ[name] for name in ("MAVEN_HOME", "M2_HOME") if os.environ.get(name)]
    return [Path.home() / ".m2" / "settings.xml", *(Path(home, "conf", "settings.xml") for home in homes)]


def _parse(file: Path) -> ElementTree.Element:
    """The settings without namespaces, of which there are several, or none."""
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except (OSError, ElementTree.ParseError) as error:
        raise ModelError(f"{file} cannot be read ({error}); mend it, or set models.maven_repository") from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root


def _text(element: ElementTree.Element, name: str) -> str:
    """The text of a child, its variables replaced as Maven does; empty where there is none."""
    text = (element.findtext(name) or "").strip()
    replacements: dict[str, Callable[[], str]] = {"user.home": lambda: str(Path.home())}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("env."):
            return os.environ.get(name.removeprefix("env."), match[0])
        return replacements[name]() if name in replacements else match[0]

    return VARIABLE.sub(value, text)


def _mirrors_central(mirror: ElementTree.Element) -> bool:
    """Maven's rule (https://maven.apache.org/guides/mini/guide-mirror-settings.html): names, `*`, `external:*`, and
    `!name` for what is left out."""
    patterns = [part.strip() for part in _text(mirror, "mirrorOf").split(",")]
    if "!central" in patterns or _text(mirror, "blocked") == "true":
        return False
    return any(pattern in ("central", "*", "external:*") for pattern in patterns)


def _password(server: ElementTree.Element, file: Path) -> SecretStr | None:
    text = _text(server, "password")
    if ENCRYPTED.fullmatch(text):
        raise ModelError(
            f"the password of server {_text(server, 'id')!r} in {file} is encrypted or names a variable that is not "
            "set; give it in CONNECTOR_MODELS_MAVEN_PASSWORD, with models.maven_repository and models.maven_username"
        )
    return SecretStr(text) if text else None


def _proxy(root: ElementTree.Element, host: str, file: Path) -> SecretStr | None:
    """The first active proxy that is not left out for the host."""
    for proxy in root.iterfind("proxies/proxy"):
        direct = re.split(r"[|,\s]+", _text(proxy, "nonProxyHosts"))
        if _text(proxy, "active") == "false" or any(fnmatch.fnmatch(host, pattern) for pattern in direct if pattern):
            continue
        username, password = _text(proxy, "username"), _password(proxy, file)
        user = (
            f"{quote(username, '')}:{quote(password.get_secret_value() if password else '', '')}@" if username else ""
        )
        return SecretStr(f"http://{user}{_text(proxy, 'host')}:{_text(proxy, 'port') or 8080}")
    return None
