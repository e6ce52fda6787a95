"""A worker as a child process, for programs that bring their own: commands with --reranker, the demo, benches, tests."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx

from connector.errors import ModelError, WorkerError
from connector.settings.sources import ENV_PREFIX

START_TIMEOUT_S = 600.0  # a large model takes minutes; one that ends or fails is told at once


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A running worker and where it listens."""

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_worker(arguments: Sequence[str] = (), *, own_settings: bool = False) -> Iterator[WorkerProcess]:
    """A worker on a free port with a ready model; it ends with the block. `own_settings`: it has those of its arguments and no
    others, neither of the environment nor of a settings file.

    Raises WorkerError where it does not come up, ModelError where its model cannot be loaded."""
    variables = dict(os.environ)
    if own_settings:
        arguments = ["--config", os.devnull, *arguments]
        variables = {name: value for name, value in variables.items() if not name.startswith(ENV_PREFIX)}
    command = [sys.executable, "-m", "connector", "worker", "--port", "0", *arguments]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, env=variables | {"PYTHONUNBUFFERED": "1"})
        try:
            yield WorkerProcess(_wait_until_ready(process, log.fileno()), process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: int) -> str:
    end = time.monotonic() + START_TIMEOUT_S
    url = ""
    while time.monotonic() < end and process.poll() is None:
        said = os.pread(log, 1_000_000, 0).decode(errors="replace")
        if not url and (match := re.search(r"listening on (http://\S+?),", said)):
            url = match[1]
        with contextlib.suppress(httpx.HTTPError):
            if url and _is_ready(httpx.get(f"{url}/ready", timeout=2)):
                return url
        time.sleep(0.1)
    said = os.pread(log, 1_000_000, 0).decode(errors="replace")
    raise WorkerError("the worker did not come up; its last words:\n" + "\n".join(said.splitlines()[-15:]))


def _is_ready(reply: httpx.Response) -> bool:
    """Whether the model is loaded. Raises ModelError where it will not be: a refusal that asks for no other try."""
    if reply.status_code == 503 and "retry-after" not in reply.headers:
        raise ModelError(str(reply.json()["error"]))
    return reply.status_code == 200
