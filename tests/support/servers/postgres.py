"""A PostgreSQL server for tests: made once by each process of the tests that asks for it, and ended with it.

`TEST_POSTGRES_URL` names another one, whose user may create databases and, for replication, has wal_level=logical."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from loopback_ports import free_port

VARIABLE = "TEST_POSTGRES_URL"
NOBODY = 65534  # the server refuses uid 0
OPTIONS = {
    "wal_level": "logical",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_replication_slots": "20",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "autovacuum": "off",
}


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a server, without a database."""
    if url := os.environ.get(VARIABLE):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    if as_user:
        os.chown(folder, NOBODY, NOBODY)
    try:
        made = [*as_user, _program("initdb"), "-D", str(folder / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*made, "--no-sync", "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", str(folder / "data"), "-p", str(port), *options]
        dies_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        with open(folder / "log", "w") as log:
            server = subprocess.Popen([*as_user, *dies_with_us, *command], stdout=log, stderr=log)
        try:
            url = f"postgresql://tester@127.0.0.1:{port}"
            _wait(url, server, folder / "log")
            yield url
        finally:
            server.terminate()
            server.wait(120)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database, which is dropped with all its slots."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        try:
            yield f"{server}/{name}"
        finally:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            slots = connection.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", [name])
            for (slot,) in slots.fetchall():
                _drop_slot(connection, slot)
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def _drop_slot(connection: psycopg.Connection, slot: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            return
        except psycopg.errors.ObjectInUse:
            assert time.monotonic() < end
            time.sleep(0.02)


def _program(name: str) -> str:
    """Debian keeps the server's programs beside each version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, f"there is no {name}; apt-get install postgresql, or name a server in {VARIABLE}"
    return path


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    while True:
        try:
            psycopg.connect(f"{url}/postgres").close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
