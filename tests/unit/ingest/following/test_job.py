"""A followed source from its settings, ended before it has begun."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connector.ingest.following.job import follow_source
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
