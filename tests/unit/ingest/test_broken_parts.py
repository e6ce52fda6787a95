"""An ingest whose source, encoder or disk fails on the way: what is kept, and what is said."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from support.ingest.ingest_jobs import IngestJobs, Rows, adds_up, docs
from support.parts import HashEncoder

from connector.errors import DiskError, ModelError
from connector.ingest.sources import Row, open_source
from connector.settings.sections import IngestSettings
from connector.types import Vectors


async def test_a_source_that_breaks_off_is_reported(jobs: IngestJobs) -> None:
    report = await jobs.run(Rows(docs(*"abcdef"), breaks_after=4))

    assert report.stopped == "the source broke off"
    assert (report.ok, adds_up(report)) == (False, True)


async def test_a_spoilt_file_is_reported(jobs: IngestJobs, tmp_path: Path) -> None:
    lines = b"".join(json.dumps(doc).encode() + b"\n" for doc in docs(*map(str, range(1_000))))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines)[:-500])

    report = await jobs.run(open_source(str(tmp_path / "a.jsonl.gz")), settings=IngestSettings(group_documents=500))

    assert "cannot read" in (report.stopped or "")
    assert adds_up(report)


class Failing(HashEncoder):
    """Gives NaN for texts that ask for it, and fails on others."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = super().encode(texts)
        for at, text in enumerate(texts):
            if "nan" in text:
                vectors[at, 0] = np.nan
            if "raise" in text:
                raise ModelError("out of memory")
        return vectors


async def test_a_vector_that_is_no_number_is_never_written(jobs: IngestJobs) -> None:
    report = await jobs.run(
        [*docs("a"), {"_id": "b", "text": "nan"}, *docs("c")], encoder=Failing(dims=4, max_tokens=10)
    )

    assert (report.counts.written, report.counts.failed) == (2, 1)
    assert "NaN" in jobs.rejects()[0]["reason"]
    assert await jobs.ids() == ["a", "c"]


async def test_an_encoder_that_fails_stops_the_job(jobs: IngestJobs) -> None:
    report = await jobs.run([{"_id": "b", "text": "raise"}], encoder=Failing(dims=4, max_tokens=10))

    assert (report.stopped, report.unfinished) == ("out of memory", 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a file that is always full")
async def test_a_full_disk_for_the_rejects_stops_the_job_and_counts_nothing_that_was_not_kept(
    jobs: IngestJobs, tmp_path: Path
) -> None:
    class Filling(Rows):
        """The disk is full from the third row on."""

        def __iter__(self) -> Iterator[Row]:
            for number, row in enumerate(super().__iter__()):
                if number == 2:
                    jobs.rejects_file.unlink(missing_ok=True)
                    jobs.rejects_file.symlink_to("/dev/full")
                yield row

    report = await jobs.run(Filling([*docs("a", "b"), {"_id": "c"}, *docs("d")]))

    assert "cannot keep a failed document" in str(report.stopped)
    assert "No space left on device" in str(report.stopped)
    assert "--rejects" in str(report.stopped)
    assert (report.counts.failed, report.counts.read) == (0, 3)
    assert adds_up(report)


async def test_rejects_that_cannot_be_kept_are_found_out_before_anything_is_read(
    jobs: IngestJobs, tmp_path: Path
) -> None:
    jobs.rejects_file = tmp_path / "no such folder" / "rejects.jsonl"

    with pytest.raises(DiskError, match="name another file: --rejects"):
        await jobs.run(docs("a"))
