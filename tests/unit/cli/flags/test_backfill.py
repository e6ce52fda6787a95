"""Which flags of `connector backfill` do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from connector.cli.app import app
from connector.cli.flags.backfill import BackfillFlags
from connector.errors import SettingsError

REFUSED = {
    "--undo --dry-run": "--undo says what it would change, and asks",
    "--dry-run --report r.json": "--json prints what it found",
    "--into new --beside": "--into and --beside are two ways",
    "--swap": "--swap and --block-writes belong to --into",
    "--no-swap --beside": "--swap and --block-writes belong to --into",
    "--block-writes": "--swap and --block-writes belong to --into",
    "--beside --state here": "--state belongs to --follow",
    "--copy tier": "--copy belongs to --beside",
    "--into new --copy tier": "--copy belongs to --beside",
    "--follow": "in place, the command is: connector follow",
    "--undo --beside": "drop the other: connector index drop",
    "--undo --into new": "drop the other: connector index drop",
    "--beside --field ours": "with --beside nothing is",
    "--beside --rejects r.jsonl": "--rejects is for a back-fill in place",
    "--undo --rejects r.jsonl": "--rejects is for a back-fill in place",
    "--undo --max-cpu 80": "slow a back-fill, and no --undo",
    "--into new --ray local": "--ray is for a back-fill in place",
    "--undo --ray local": "--ray is for a back-fill in place",
    "--text title^two": "--text takes FIELD or FIELD^BOOST, not 'title^two'",
    "--text ^2": "--text takes FIELD or FIELD^BOOST, not '^2'",
}


def test_flags_that_do_not_go_together_are_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the default cluster, which would be refused by another error."""
    monkeypatch.chdir(tmp_path)
    errors = {flags: CliRunner().invoke(app, ["backfill", "shop", *flags.split()]).exception for flags in REFUSED}

    assert {flags: str(error) for flags, error in errors.items() if REFUSED[flags] not in str(error)} == {}
    assert {type(error) for error in errors.values()} == {SettingsError}


def test_what_is_copied_is_a_list_all_or_nothing() -> None:
    given = {"all": None, "two": ["tier,price "], "none": ["none"]}
    copied = {name: BackfillFlags(beside=True, copied=fields).elsewhere().copied for name, fields in given.items()}

    assert copied == {"all": None, "two": ["tier", "price"], "none": []}


def test_who_counts_versions_is_one_of_three() -> None:
    assert BackfillFlags(versions="external").wish(None).versions == "external"
    with pytest.raises(SettingsError, match="--versions is auto, internal or external, not 'often'"):
        BackfillFlags(versions="often").wish(None)
