"""What can be looked at in any cluster, as that of a plug-in: what every cluster can be asked."""

from __future__ import annotations

from connector.clusters.protocol import Cluster, Index
from connector.doctor.findings import Finding
from connector.doctor.samples import Sample

GET_TIMEOUT_S = 15.0


class PluggedChecks:
    """Looks through the protocol of clusters alone."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def health(self, index: str | None) -> Finding:
        return self._not_known("health", "whether the cluster can be relied on")

    async def access(self, index: str, *, exists: bool) -> list[Finding]:
        return [self._not_known("ingest access", "whether these credentials may write")]

    async def state(self, index: Index) -> list[Finding]:
        return [self._not_known("copies", "whether there is more than one")]

    async def contents(self, index: Index) -> Finding:
        documents = await self._cluster.count(index.name)
        if not documents:
            advice = "fill it: connector ingest SOURCE"
            return Finding("documents", "warn", "the index is empty", advice, {"documents": 0})
        return Finding("documents", "ok", f"{documents:,} documents", facts={"documents": documents})

    async def samples(self, index: Index, count: int) -> list[Sample]:
        doc_ids: list[str] = []
        async for doc_id, _ in index.scan():
            doc_ids.append(doc_id)
            if len(doc_ids) == count:
                break
        names = list(index.schema.fields.text)
        found = await index.get(doc_ids, fields=names, timeout_s=GET_TIMEOUT_S)
        return [
            Sample(doc_id, "\n".join(str(fields[name]) for name in names if fields.get(name)))
            for doc_id, fields in found.items()
        ]

    @staticmethod
    def _not_known(check: str, subject: str) -> Finding:
        seen = f"{subject} is not known: a plug-in brings this cluster"
        return Finding(check, "skip", seen, "see the documentation of the package that brings it")
