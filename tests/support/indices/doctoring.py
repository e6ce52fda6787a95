"""The doctor on indices with a few documents: what it finds, by check."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import httpx
from support.indices.scratch import write_documents

from connector.doctor import checkup
from connector.doctor.findings import Finding
from connector.models.encoder import Encoder
from connector.schema import Fields
from connector.settings.load import load
from connector.settings.sections import ClusterSettings
from connector.types import Document

FIELDS = Fields(text={"title": 2.0, "text": 1.0}, metadata={"topic": "keyword"})
TOPICS = ("refunds", "freezers", "partners", "firmware", "invoices", "carriers")
COUNT = 12
WITHOUT_HASTE = {"search.deadline_s": 300}  # so that the worker's speed does not depend on what else the machine does
OF_THE_CLUSTER = ("health", "search access", "ingest access", "index", "mapping", "copies", "blocks", "documents")


async def fill(settings: ClusterSettings, name: str, encoder: Encoder, *, without_text: int = 0) -> None:
    """An index of ours with COUNT documents, and some more that have no text."""
    documents = [
        Document(f"d{at}", {"title": f"{TOPICS[at % 6]} {at}", "text": f"Sensors and {TOPICS[at % 6]} in week {at}."})
        for at in range(COUNT)
    ] + [Document(f"e{at}", {"topic": "none"}) for at in range(without_text)]
    await write_documents(settings, name, documents, FIELDS, encoder)


async def look(cluster: ClusterSettings, index: str, worker_url: str | None, **more: Any) -> dict[str, Finding]:
    """The findings by check; no worker URL: reranking is off."""
    given = {f"cluster.{name}": value for name, value in cluster.model_dump(exclude_defaults=True).items()}
    for name in ("password", "api_key", "bearer_token"):
        secret = getattr(cluster, name)
        given |= {f"cluster.{name}": secret.get_secret_value()} if secret else {}
    given |= {"index.name": index, "search.rerank": "on" if worker_url else "off", "rerankers.local.url": worker_url}
    given |= WITHOUT_HASTE | {name.replace("__", "."): value for name, value in more.items()}
    loaded = load(environ={}, overrides=given)
    findings = await checkup.examine(loaded)

    assert all(finding.seen and bool(finding.advice) == (finding.status != "ok") for finding in findings)
    assert "Sensors" not in json.dumps([asdict(finding) for finding in findings])
    return {finding.check: finding for finding in findings}


def statuses(findings: dict[str, Finding], *checks: str) -> set[str]:
    return {findings[check].status for check in checks if check in findings}


def not_ok(findings: dict[str, Finding]) -> dict[str, str]:
    """What is not well, but for the index that another test makes at that moment, which the whole engine's state tells
    until its shards are there."""
    health = findings.get("health")
    is_of_others = health is not None and health.facts.get("cluster") == "red" and health.facts.get("index") != "red"
    return {
        check: finding.status
        for check, finding in findings.items()
        if finding.status != "ok" and not (check == "health" and is_of_others)
    }


def write(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    reply = client.request(method, path, json=body)
    assert reply.is_success, reply.text
    return reply.json()
