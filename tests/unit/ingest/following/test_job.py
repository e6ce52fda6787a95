"""A followed source from its settings, ended before it has begun."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from connector.errors import ConnectorError, SettingsError
from connector.ingest.following.job import follow_source
from connector.ingest.rejects import RejectsFile
from connector.settings.sections import Settings


async def test_a_job_that_is_ended_while_its_encoder_is_loaded_says_so_and_has_made_nothing(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "a.txt").write_text("first text")
    settings = Settings.model_validate({"cluster": {"url": f"embedded:{tmp_path / 'store'}"}})
    stop = asyncio.get_running_loop().create_future()
    stop.set_result("SIGTERM was received")

    report = await follow_source(str(tmp_path / "handbook"), settings, stop=stop, rejects=tmp_path / "rejects")

    assert (report.stopped, report.ok, report.steps, report.counts.read) == ("SIGTERM was received", False, 0, 0)
    assert list((tmp_path / "store").iterdir()) == []
    assert not (tmp_path / "rejects").exists()


async def test_a_job_begins_nothing_while_another_keeps_what_fails_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    settings = Settings.model_validate({"cluster": {"url": f"embedded:{tmp_path / 'store'}"}})
    rejects, stop = tmp_path / "rejects", asyncio.get_running_loop().create_future()

    with RejectsFile(rejects).held(), pytest.raises(SettingsError, match="rejects is in use by"):
        await follow_source(str(tmp_path / "handbook"), settings, stop=stop, rejects=rejects)

    assert not (tmp_path / "store").exists()


async def test_processes_that_share_a_topic_share_the_file_of_what_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings.model_validate({"cluster": {"url": f"embedded:{tmp_path / 'file' / 'store'}"}})
    rejects, stop = RejectsFile(tmp_path / "rejects"), asyncio.get_running_loop().create_future()
    follow = partial(follow_source, "kafka://127.0.0.1:1/topic", settings, stop=stop, rejects=tmp_path / "rejects")

    with rejects.held(), pytest.raises(SettingsError, match="rejects is in use by"):
        await follow()
    with rejects.held(shared=True), pytest.raises(ConnectorError, match="store"):  # which cannot be made
        await follow()
