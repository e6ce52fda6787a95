"""The doctor before a cluster of a plug-in: what every cluster can be asked is looked at, and the rest is said to be
unknown."""

from __future__ import annotations

from pathlib import Path

from support.programs.plugins import installed, write_page

from connector.doctor.checkup import examine
from connector.doctor.findings import Finding
from connector.ingest.job import run_job
from connector.schema import Fields
from connector.settings.load import load
from connector.wiring import build_schema, load_encoder, opened_cluster

MESSAGE = "From a@b.example\nMessage-ID: <{0}@b.example>\nSubject: number {0}\n\nText of {0}.\n\n"
NOT_KNOWN = {"health", "ingest access", "copies"}


async def test_what_every_cluster_can_be_asked_is_looked_at(tmp_path: Path) -> None:
    write_page(tmp_path / "packages")
    (tmp_path / "mail").write_text("".join(MESSAGE.format(number) for number in range(7)))
    given = {
        "cluster.url": f"audit:embedded:{tmp_path / 'store'}",
        "index.name": "mails",
        "fields.text": {"subject": 2.0, "body": 1.0},
        "encoder.kind": "hashing",
        "rerankers.mine.kind": "overlap",
        "search.rerank": [{"reranker": "mine"}],
        "search.deadline_s": 120,
        "plugins.audit.file": str(tmp_path / "audit.txt"),
    }
    loaded = load(environ={}, overrides=given)
    settings = loaded.require()

    async def look() -> dict[str, Finding]:
        return {found.check: found for found in await examine(loaded)}

    with installed(tmp_path / "packages"):
        missing = await look()
        fields = Fields(text={"subject": 2.0, "body": 1.0}, id="message_id")
        schema = build_schema(settings, fields, load_encoder(settings).fingerprint)
        async with opened_cluster(settings) as cluster:
            await cluster.create_index("mails", schema)
        empty = await look()
        await run_job(f"mbox:{tmp_path / 'mail'}", settings, rejects=tmp_path / "rejects.jsonl")
        filled = await look()

    assert (missing["index"].status, missing["documents"].status) == ("fail", "skip")
    assert (empty["documents"].status, empty["documents"].seen) == ("warn", "the index is empty")
    assert "connector ingest" in empty["documents"].advice
    assert filled["documents"].facts == {"documents": 7}
    assert filled["text"].facts == {"documents": 5, "with_text": 5}
    assert filled["query"].status == "ok"
    assert {check for check, found in filled.items() if found.status == "skip"} == NOT_KNOWN | {"vectors"}
    assert all("a plug-in brings this cluster" in filled[check].seen for check in NOT_KNOWN)
