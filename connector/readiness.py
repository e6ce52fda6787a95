"""Word of where a worker listens and how it is, in a file, for whatever has started it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from connector.errors import SettingsError
from connector.whole_file import write_whole

State = Literal["loading", "ready", "failed", "stopping"]
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # an address to call a worker at that listens on every one
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What the file holds, as one JSON object. `error` says why the model could not be loaded."""

    url: str
    scheme: str
    pid: int
    state: State
    error: str = ""


class ReadyFile:
    """The file, which is always whole: each state replaces the one before it. Without a path nothing is written."""

    def __init__(self, path: str | None, *, scheme: str, host: str, port: int) -> None:
        """`host` as the settings have it, which a certificate may name."""
        self._path = Path(path) if path else None
        self._scheme = scheme
        self.url = f"{scheme}://{_in_url(WILDCARDS.get(host, host))}:{port}"

    def write(self, state: State, error: str = "") -> None:
        """Raises SettingsError where that cannot be done."""
        if not self._path:
            return
        content = json.dumps(asdict(WorkerState(self.url, self._scheme, os.getpid(), state, error)))
        try:
            write_whole(self._path, content + "\n")
        except OSError as failure:
            reason = failure.strerror or failure
            raise SettingsError(f"cannot write worker.ready_file {self._path} ({reason})") from failure

    def note(self, state: State, error: str = "") -> None:
        """The same for a worker that serves already: it goes on where the file cannot be written."""
        try:
            self.write(state, error)
        except SettingsError as failure:
            log.warning("%s", failure)


def read_state(path: Path) -> WorkerState | None:
    """What a worker has written; None before it has. Raises ValueError for what no worker writes."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return WorkerState(**json.loads(content))
    except TypeError as error:
        raise ValueError(f"{path} holds no worker's state") from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
