"""What a node of a Ray cluster lacks for a job is said with the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.errors import RayUnavailable
from connector.ingest.ray.nodes import NodeFacts, check_facts, look_around, path_of


def test_what_a_node_lacks_is_said_with_the_node(tmp_path: Path) -> None:
    path = str(tmp_path / "gone")

    with pytest.raises(RayUnavailable, match=f"the Ray node 10.0.0.2 has no {path}; put the source under that path"):
        check_facts("10.0.0.2", look_around(path), path)
    with pytest.raises(RayUnavailable, match=r"has the connector 0\.0\.0, and this process .*install the same on both"):
        check_facts("10.0.0.2", NodeFacts("0.0.0", has_source=True), None)
    check_facts("10.0.0.2", look_around(str(tmp_path)), str(tmp_path))


def test_a_source_here_has_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").touch()

    assert path_of("rows.jsonl") == str(tmp_path / "rows.jsonl")
    assert path_of("postgresql://db/shop") is None
    assert path_of(None) is None
