"""Jobs and commands on secured engines, and what they may never say."""

from __future__ import annotations

import json
from pathlib import Path

from connector.ingest import job
from connector.ingest.report import JobReport
from connector.settings.load import load_settings
from connector.settings.sections import ClusterSettings, Settings


def write_source(folder: Path, count: int) -> Path:
    """A file of so many rows."""
    path = folder / f"{count}.jsonl"
    rows = [{"_id": f"d{at}", "title": f"Row {at}", "text": f"Rule {at} on refunds."} for at in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def ingest(source: Path, cluster: ClusterSettings, index: str, *, delete_missing: bool = False) -> JobReport:
    """What `connector ingest` does."""
    rejects = source.parent / "rejects.jsonl"
    return await job.run_job(str(source), settings_of(cluster, index), rejects=rejects, delete_missing=delete_missing)


def settings_of(cluster: ClusterSettings, index: str) -> Settings:
    """Settings for that index there, without a worker and without haste."""
    overrides = {"index.name": index, "search.rerank": "off", "search.deadline_s": 120.0}
    settings = load_settings(environ={}, overrides=overrides)
    return settings.model_copy(update={"cluster": cluster})


def variables(cluster: ClusterSettings) -> dict[str, str]:
    """The settings as variables of the environment."""
    given = {
        "URL": cluster.url,
        "CA_CERT": cluster.ca_cert,
        "USERNAME": cluster.username,
        "PASSWORD": cluster.password and cluster.password.get_secret_value(),
        "API_KEY": cluster.api_key and cluster.api_key.get_secret_value(),
        "BEARER_TOKEN": cluster.bearer_token and cluster.bearer_token.get_secret_value(),
    }
    return {f"CONNECTOR_CLUSTER_{name}": value for name, value in given.items() if value}


def assert_no_secret(text: str, cluster: ClusterSettings) -> None:
    """None of the credentials is in the text, nor the second half of a pair."""
    for secret in (cluster.password, cluster.api_key, cluster.bearer_token):
        if secret:
            assert secret.get_secret_value() not in text
            assert secret.get_secret_value().partition(":")[2] not in text or ":" not in secret.get_secret_value()
