"""`connector migrate` from the command line, to an encoder that reads less of a text, which makes other passages."""

from __future__ import annotations

import json
from pathlib import Path

from support.indices.somebody import TEXT, Somebody
from support.programs.command import UNHURRIED, Launcher, flat

from connector.clusters.connect import connect
from connector.models.places.find import find_here
from connector.settings.sections import ClusterSettings, EncoderSettings


def shorter_encoder(folder: Path) -> Path:
    """The default encoder, of which the input is shorter."""
    original = find_here(EncoderSettings().model)
    assert original
    for file in original.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "sentence_bert_config.json").unlink()
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32, "do_lower_case": False}))
    return folder


def judged(folder: Path) -> str:
    """A collection of one query."""
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "may I keep the fire door open"}) + "\n")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tdoor\t1\n")
    return str(folder)


async def test_an_index_changes_its_encoder_from_the_command_line(
    elasticsearch: ClusterSettings, launcher: Launcher, tmp_path: Path
) -> None:
    somebody = Somebody(elasticsearch.url, await connect(elasticsearch))
    index = somebody.make(
        {"properties": {"title": TEXT, "body": TEXT}},
        {"_id": "shelf", "title": "Shelves", "body": "A shelf carries forty kilograms."},
        {"_id": "door", "title": "Doors", "body": "A fire door must never be wedged open."},
    )
    (tmp_path / "shorter").mkdir()
    shorter = str(shorter_encoder(tmp_path / "shorter"))
    common = ("--cluster", elasticsearch.url, *UNHURRIED)

    def search(*more: str) -> dict[str, str]:
        done = launcher.run("search", "keep it open", "--index", index, "--json", *common, *more, cwd=tmp_path)
        return {"code": str(done.code), "first": json.loads(done.stdout)["hits"][0]["doc_id"]} if not done.code else {}

    filled = launcher.run("backfill", index, "--yes", *common, cwd=tmp_path)
    migrate = ("migrate", index, *common)
    unasked = launcher.run(*migrate, "--encoder", shorter, cwd=tmp_path)
    second = launcher.run(*migrate, "--encoder", shorter, "--yes", "--json", cwd=tmp_path)
    between = search(), search("--set", f"encoder.model={shorter}")
    by_second = ("--index", index, "--json", "--set", f"encoder.model={shorter}", *common)
    looked_at = launcher.run("doctor", *by_second, "--set", "search.rerank=[]", cwd=tmp_path)
    evaluated = launcher.run("eval", judged(tmp_path), "-p", "dense", *by_second, cwd=tmp_path)
    switched = launcher.run(*migrate, "--switch", "--yes", cwd=tmp_path)
    cleaned = launcher.run(*migrate, "--clean", "--yes", cwd=tmp_path)
    after = search(), search("--set", f"encoder.model={shorter}")
    again = launcher.run(*migrate, "--switch", "--yes", cwd=tmp_path)
    somebody.leave()
    await somebody.cluster.close()

    assert filled.code == 0, filled.stderr
    assert unasked.code == 2
    assert "searches go on with all-MiniLM-L6-v2 in 'passages', which stays as it is" in flat(unasked.stderr)
    assert second.code == 0, second.stderr
    assert json.loads(second.stdout)["indices"][0]["counts"]["written"] == 2
    assert [found["first"] for found in between] == ["door", "door"]
    findings = {finding["check"]: finding for finding in json.loads(looked_at.stdout)["findings"]}
    assert looked_at.code == 0, looked_at.stdout
    assert "the index changes its encoder" in findings["encoder of the index"]["seen"]
    assert findings["documents"]["seen"].endswith("; 2 also have vectors of shorter")
    assert evaluated.code == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["pipelines"]["dense"]["measures"]["nDCG@10"] == 1.0
    assert switched.code == 0, switched.stderr
    assert "searches use the vectors of" in switched.stdout
    assert cleaned.code == 0, cleaned.stderr
    assert (after[0], after[1]["first"]) == ({}, "door")
    assert again.code == 2
    assert "vectors of one encoder only" in flat(again.stderr)
