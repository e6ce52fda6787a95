"""The file in which a worker says where it can be called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connector.errors import SettingsError
from connector.readiness import ReadyFile, read_state


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "https://127.0.0.1:8787"),
        ("worker.internal", "https://worker.internal:8787"),  # what its certificate names
        ("0.0.0.0", "https://127.0.0.1:8787"),
        ("::", "https://[::1]:8787"),
        ("::1", "https://[::1]:8787"),
    ],
)
def test_the_file_says_where_a_worker_can_be_called(tmp_path: Path, host: str, url: str) -> None:
    file = tmp_path / "ready.json"

    ReadyFile(str(file), scheme="https", host=host, port=8787).write("loading")

    found = read_state(file)
    assert found
    assert (found.url, found.scheme, found.pid, found.state) == (url, "https", os.getpid(), "loading")


def test_each_state_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = ReadyFile(str(tmp_path / "ready.json"), scheme="http", host="127.0.0.1", port=1)

    file.write("loading")
    file.write("failed", "no such model")

    found = read_state(tmp_path / "ready.json")
    assert found
    assert (found.state, found.error) == ("failed", "no such model")
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


def test_there_is_no_state_before_a_worker_has_written_one(tmp_path: Path) -> None:
    assert read_state(tmp_path / "ready.json") is None


def test_what_no_worker_wrote_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    for content in ('{"url": "x"}', "not json"):
        file.write_text(content)

        with pytest.raises(ValueError, match=r"worker|JSON|Expecting"):
            read_state(file)


def test_a_folder_that_is_not_there_is_a_setting_that_cannot_be_used(tmp_path: Path) -> None:
    file = ReadyFile(str(tmp_path / "none" / "ready.json"), scheme="http", host="127.0.0.1", port=1)

    with pytest.raises(SettingsError, match=r"cannot write worker\.ready_file"):
        file.write("loading")


def test_a_worker_that_serves_goes_on_where_its_file_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ReadyFile(str(tmp_path / "none" / "ready.json"), scheme="http", host="127.0.0.1", port=1).note("ready")

    assert "cannot write worker.ready_file" in caplog.text
