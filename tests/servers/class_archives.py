"""Archives of classes (application class-data sharing). With one, Java finds the classes of a server as they lay in
memory, and need not parse and check them, which is a third of a start.

Only OpenSearch's server has one: Elasticsearch's patches the module java.base, with which Java reads no archive."""

from __future__ import annotations

import hashlib
import pathlib

# of JDK 25, where OpenSearch 3 runs with an agent, which may change classes: those that it does not change are shared
WITH_AGENT = "-XX:+UnlockDiagnosticVMOptions -XX:+AllowArchivingWithJavaAgent"


def archive_path(home: pathlib.Path, java: pathlib.Path) -> pathlib.Path:
    """Where the archive of an engine lies, for one build of Java. Java itself refuses one of other jars."""
    build = hashlib.sha256((java / "release").read_bytes()).hexdigest()[:12]
    return home / f"classes-{build}.jsa"


def reading(archive: pathlib.Path, *, agent: bool) -> str:
    """Java's options to read an archive, where there is one."""
    return _options(f"-XX:SharedArchiveFile={archive}", agent) if archive.exists() else ""


def writing(archive: pathlib.Path, *, agent: bool) -> str:
    """Java's options to write it when the program ends."""
    return _options(f"-XX:ArchiveClassesAtExit={archive}", agent)


def _options(option: str, agent: bool) -> str:
    return f"{WITH_AGENT} {option}" if agent else option
