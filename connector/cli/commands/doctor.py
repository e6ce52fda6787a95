"""`connector doctor`: look at everything that a search needs, and say what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from connector import event_loop
from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SearchSettingsFlags
from connector.cli.tables.findings import print_findings
from connector.settings.load import LoadedSettings

if TYPE_CHECKING:
    from connector.doctor.findings import Finding


@with_flag_groups
def doctor(settings: SearchSettingsFlags, as_json: AsJson = False) -> None:
    """Look at everything that a search needs, and say what to do.

    It looks at the settings, the cluster, the index, the encoder and the worker, and sends a query through all of
    them. Nothing is changed anywhere. Exit code: 0 no check failed (there may be warnings), 1 a check failed, 2 the
    settings cannot be read.

    Examples:

        connector doctor --cluster http://localhost:9200 --index kb

        connector doctor --json | jq '.findings[] | select(.status != "ok")'
    """
    loaded = settings.load()
    loaded.require()
    findings = event_loop.run(_examine(loaded))
    ok = not any(finding.status == "fail" for finding in findings)
    if as_json:
        print(json.dumps({"ok": ok, "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False))
    else:
        print_findings(findings)
    raise typer.Exit(0 if ok else 1)


async def _examine(loaded: LoadedSettings) -> Sequence[Finding]:
    with stderr.status("looking") as status:
        from connector.doctor.checkup import examine

        return await examine(loaded, say=lambda check: status.update(f"looking at: {check}"))
