"""Replies of Elasticsearch and OpenSearch -> findings: health, privileges, the index's settings, its mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from connector.clusters.dialect import JSON
from connector.clusters.failures import ROLES
from connector.doctor.findings import Finding
from connector.settings.warnings import is_loopback

COMPARED = ("type", "analyzer", "dims", "dimension")  # of a field; what else differs does not matter to a write
BLOCKS = {
    "read_only_allow_delete": "the disk is nearly full (flood stage)",
    "read_only": "it is read-only",
    "write": "writes are blocked",
    "read": "reads are blocked",
}


def worst(findings: Mapping[str, Finding]) -> Finding:
    """Of the same check of several indices the finding to see to first; it says which index it is of."""
    name, found = max(findings.items(), key=lambda entry: ("ok", "skip", "warn", "fail").index(entry[1].status))
    return found if len(findings) == 1 else replace(found, seen=f"{name}: {found.seen}")


def judge_health(cluster: JSON, index: JSON | None, reason: str) -> Finding:
    """The finding for the replies of `_cluster/health`, of the cluster and of the index."""
    nodes, status = cluster["number_of_data_nodes"], cluster["status"]
    own = index["status"] if index else None
    seen = f"cluster {status}, {nodes} data node{'s'[: nodes != 1]}" + (f"; index {own}" if own else "")
    seen += f": {reason}" if reason else ""
    facts = {
        "cluster": status,
        "index": own,
        "nodes": nodes,
        "unassigned_shards": (index or cluster)["unassigned_shards"],
    }
    if own == "red":
        advice = "parts of the index are missing from searches and take no writes; bring its node back, or restore it"
        return Finding("health", "fail", seen, advice, facts)
    if status == "red":
        advice = "an index of the cluster has lost a primary shard; GET _cluster/allocation/explain says which"
        return Finding("health", "warn", seen, advice, facts)
    if "yellow" in (own, status):
        if nodes == 1:
            note = "a replica waits for a second node, which is normal on a single one"
            return Finding("health", "ok", f"{seen}; {note}", facts=facts)
        advice = "a replica has no node yet: wait, or see GET _cluster/allocation/explain"
        return Finding("health", "warn", seen, advice, facts)
    return Finding("health", "ok", seen, facts=facts)


def judge_access(missing: Mapping[str, Sequence[str]], *, exists: bool) -> list[Finding]:
    """The findings for the privileges that searching and ingesting lack."""
    search, ingest = missing["search"], missing["ingest"]
    findings = [Finding("search access", "ok", "these credentials may search the index")]
    if search:
        lacks = ", ".join(search)
        findings = [
            Finding("search access", "fail", f"these credentials lack {lacks}", f"grant {lacks} on the index; {ROLES}",
                    {"missing": list(search)})
        ]  # fmt: skip
    if ingest:
        lacks = ", ".join(ingest)
        findings.append(
            Finding(
                "ingest access",
                "warn",
                f"these credentials cannot ingest: they lack {lacks}",
                f"right for what only searches; to ingest, grant {lacks} on the index; {ROLES}",
                {"missing": list(ingest)},
            )
        )
    else:
        may = "may ingest into the index" if exists else "may create the index"
        findings.append(Finding("ingest access", "ok", f"these credentials {may}"))
    return findings


def judge_open(url: str) -> Finding:
    """The finding for a cluster that asks nobody who they are."""
    seen = "the cluster has no security: whoever reaches it may read and change everything"
    if is_loopback(url):
        return Finding("access", "ok", f"{seen}; it listens on this machine")
    advice = f"turn on security and TLS in the cluster, and give the connector a role of its own; {ROLES}"
    return Finding("access", "warn", seen, advice)


def judge_copies(settings: Mapping[str, str], nodes: int | None) -> Finding:
    """The finding for the index's settings (flat): shards, replicas, refresh."""
    shards, replicas = int(settings["index.number_of_shards"]), int(settings["index.number_of_replicas"])
    expand = settings.get("index.auto_expand_replicas", "false")
    refresh = settings.get("index.refresh_interval", "default")
    seen = f"{shards} shard{'s'[: shards != 1]}, {replicas} replica{'s'[: replicas != 1]}"
    seen += f" (by itself {expand})" if expand != "false" else ""
    seen += f", refresh {refresh}"
    facts = {"shards": shards, "replicas": replicas, "auto_expand_replicas": expand, "refresh_interval": refresh}
    if refresh == "-1":
        advice = 'what others write is seen only after a refresh: PUT INDEX/_settings {"index.refresh_interval": null}'
        return Finding("copies", "warn", seen, advice, facts)
    if replicas == 0 and expand == "false" and nodes != 1:
        advice = 'the index is lost with its node: PUT INDEX/_settings {"index.number_of_replicas": 1}'
        return Finding("copies", "warn", seen, advice, facts)
    return Finding("copies", "ok", seen, facts=facts)


def judge_blocks(settings: Mapping[str, str]) -> Finding:
    """The finding for the blocks in the index's settings (flat)."""
    blocks = [name for name in BLOCKS if settings.get(f"index.blocks.{name}") == "true"]
    if not blocks:
        return Finding("blocks", "ok", "the index takes writes", facts={"blocks": []})
    seen = "nothing can be written" if "read" not in blocks else "nothing can be read"
    seen += ": " + ", ".join(f"{BLOCKS[name]} (index.blocks.{name})" for name in blocks)
    lift = ", ".join(f'"index.blocks.{name}": null' for name in blocks)
    advice = f"PUT INDEX/_settings {{{lift}}}"
    if "read_only_allow_delete" in blocks:
        advice = f"free space on the nodes, then the engine lifts the block; at once: {advice}"
    searchable = not {"read", "read_only_allow_delete"} & set(blocks)
    return Finding("blocks", "warn" if searchable else "fail", seen, advice, {"blocks": blocks})


def judge_mapping(found: Sequence[str]) -> Finding:
    """The finding for the differences between an index of ours and what this version would make."""
    if not found:
        return Finding("mapping", "ok", "the fields are as this version writes them")
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    seen = "the fields are not as this version writes them: " + "; ".join(found[:3]) + more
    return Finding("mapping", "fail", seen, "ingest into a new index: connector ingest SOURCE --index NEW_NAME")


def differences(expected: JSON, actual: JSON, prefix: str = "") -> Iterator[str]:
    """What the fields of a mapping lack or have otherwise than expected, for each field the first thing."""
    for name, field in expected.items():
        has = actual.get(name)
        if has is None:
            yield f"{prefix}{name} is missing"
            continue
        other = next((key for key in COMPARED if field.get(key) != has.get(key) and not _same(key, field, has)), None)
        if other:
            yield f"{other} of {prefix}{name} is {has.get(other)}, not {field.get(other)}"
        yield from differences(field.get("properties", {}), has.get("properties", {}), f"{prefix}{name}.")


def _same(key: str, field: JSON, has: JSON) -> bool:
    """Whether two values of a field mean the same, where an engine leaves out its defaults."""
    defaults = {"type": "object", "analyzer": "standard"}
    return bool(field.get(key, defaults.get(key)) == has.get(key, defaults.get(key)))
