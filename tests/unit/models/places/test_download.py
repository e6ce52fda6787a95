"""A file is there whole and right, or not at all, whatever happens on the way."""

from __future__ import annotations

import hashlib
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from support.servers.file_server import FileServer, serving_files

from connector.errors import ModelError
from connector.models.places.download import Download, fetch_file

CONTENT = random.Random(7).randbytes(300_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving_files({"m.jar": CONTENT}) as server:
        yield server


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


def download_of(server: FileServer, folder: Path, **changes: Any) -> Download:
    about = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT), "pauses_s": (0.0, 0.0)} | changes
    return Download(url=f"{server.url}/m.jar", target=folder / "cache" / "m.jar", name="the model", **about)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_fetched_as_it_is(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    download = download_of(server, tmp_path)

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert files_in(tmp_path) == {"m.jar"}
    assert server.seen == [("/m.jar", "", "")]


def test_what_broke_off_goes_on_from_there(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    server.ends_after = [100_000, 50_000]
    download = download_of(server, tmp_path)

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in server.seen] == ["", "bytes=100000-", "bytes=150000-"]


def test_what_an_earlier_call_left_goes_on_from_there(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    server.ends_after = [100_000, 0, 0, 0]
    download = download_of(server, tmp_path)
    with pytest.raises(ModelError, match=r"what there is of it is kept, and the same command goes on"):
        fetch_file(download, client)
    assert files_in(tmp_path) == {"m.jar.part"}

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert server.seen[-1] == ("/m.jar", "bytes=100000-", "")


def test_a_server_without_ranges_gives_the_whole_file_again(
    server: FileServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.knows_ranges, server.ends_after = False, [100_000]
    download = download_of(server, tmp_path)

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_a_part_of_another_file_is_dropped(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    download = download_of(server, tmp_path)
    download.part.parent.mkdir()
    download.part.write_bytes(b"x" * 1_000)

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in server.seen] == ["bytes=1000-", ""]


def test_a_part_that_is_whole_is_not_asked_for_again(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    download = download_of(server, tmp_path)
    download.part.parent.mkdir()
    download.part.write_bytes(CONTENT)

    fetch_file(download, client)

    assert download.target.read_bytes() == CONTENT
    assert server.seen == []


@pytest.mark.parametrize(
    "content", [CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), CONTENT + b"more"], ids=["other", "longer"]
)
def test_a_file_of_another_hash_is_not_kept(
    server: FileServer, client: httpx.Client, tmp_path: Path, content: bytes
) -> None:
    server.files = {"m.jar": content}

    with pytest.raises(ModelError, match=r"is not the published the model: its sha256 is \w{64}, not \w{64}; nothing"):
        fetch_file(download_of(server, tmp_path), client)

    assert files_in(tmp_path) == set()


def test_a_file_that_is_shorter_is_told(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    server.files = {"m.jar": CONTENT[:-1]}

    with pytest.raises(ModelError, match=r"416 .*; the file there is shorter than the published one of 300,000 bytes"):
        fetch_file(download_of(server, tmp_path), client)

    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("status", [429, 503])
def test_what_may_work_later_is_tried_again(
    server: FileServer, client: httpx.Client, tmp_path: Path, status: int
) -> None:
    server.statuses = [status, status]

    fetch_file(download_of(server, tmp_path), client)

    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "401 Unauthorized); check the user name and the password"),
        (403, "403 Forbidden); check the user name and the password"),
        (404, "404 Not Found); does the repository hold it"),
        (407, "407 Proxy Authentication Required); the proxy wants a user name"),
        (503, "503 Service Unavailable)"),
    ],
)
def test_a_refusal_says_what_to_do(
    server: FileServer, client: httpx.Client, tmp_path: Path, status: int, advice: str
) -> None:
    server.statuses = [status] * 3

    with pytest.raises(ModelError) as refused:
        fetch_file(download_of(server, tmp_path), client)

    assert advice in str(refused.value)


def test_nobody_at_the_address_is_told(client: httpx.Client, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    with pytest.raises(
        ModelError, match=rf"the model cannot be had from http://127\.0\.0\.1:{port}/m\.jar \(.*refused"
    ):
        fetch_file(download_of(FileServer({}, f"http://127.0.0.1:{port}"), tmp_path), client)


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, httpx.Client(timeout=0.05) as client:
        server = FileServer({}, f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(ModelError, match="timed out"):
            fetch_file(download_of(server, tmp_path, pauses_s=()), client)


def test_a_disk_with_too_little_room_is_told_before(
    server: FileServer, client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=299_999))

    with pytest.raises(ModelError, match=r"no room for 0 MB more\); free some space, or name .* in XDG_CACHE_HOME"):
        fetch_file(download_of(server, tmp_path), client)

    assert files_in(tmp_path) == set()


def test_a_disk_that_runs_full_on_the_way_is_told(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    download = download_of(server, tmp_path)
    download.part.parent.mkdir()
    download.part.symlink_to("/dev/full")

    with pytest.raises(ModelError, match=r"No space left on device\); free some space, or name"):
        fetch_file(download, client)


def test_a_folder_that_cannot_be_written_is_told(server: FileServer, client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()

    with pytest.raises(ModelError, match=r"cannot be kept in .*; let this user write there, or name another folder"):
        fetch_file(download_of(server, tmp_path), client)
