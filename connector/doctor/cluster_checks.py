"""What a doctor asks of a cluster beyond what searches and jobs need; nothing in it changes anything."""

from __future__ import annotations

from typing import Protocol

from connector.clusters.protocol import Index
from connector.doctor.findings import Finding
from connector.doctor.samples import Sample
from connector.schema import IndexSchema


class ClusterChecks(Protocol):
    """Looks at one cluster and an index in it. Every method raises ClusterError; AccessDenied where it may not look."""

    async def health(self, index: str | None) -> Finding:
        """Whether the cluster, and the index if there is one, can be relied on."""
        ...

    async def access(self, index: str, *, exists: bool) -> list[Finding]:
        """Whether these credentials allow to search the index, and to ingest into it."""
        ...

    async def state(self, index: Index) -> list[Finding]:
        """Whether the index is as this version writes it, has copies, and takes writes."""
        ...

    async def contents(self, index: Index) -> Finding:
        """How many documents the index holds, and in how many vectors are present."""
        ...

    async def samples(self, index: Index, count: int) -> list[Sample]:
        """Some of its documents that have a text, with the vectors that the index holds of it."""
        ...


def judge_contents(documents: int, with_vectors: int | None, *, managed: bool) -> Finding:
    """The finding for so many documents; `with_vectors` None: the index has no vector field that is searched."""
    facts = {"documents": documents, "with_vectors": with_vectors}
    if not documents:
        advice = (
            "fill it: connector ingest SOURCE"
            if managed
            else "whoever writes to it has yet to; nothing to be done here"
        )
        return Finding("documents", "warn", "the index is empty", advice, facts)
    if with_vectors is None:
        return Finding("documents", "ok", f"{documents:,} documents; the lexical leg alone searches them", facts=facts)
    seen = f"{documents:,} documents, vectors in {with_vectors:,}"
    if with_vectors == documents:
        return Finding("documents", "ok", seen, facts=facts)
    if not managed:
        advice = "fill index.vector_field in every document, or name another one"
    elif not with_vectors:
        advice = (
            "the documents have no text to encode, or were not written by connector ingest; ingest into a new index"
        )
    else:
        advice = "right where documents have no text; the dense leg does not find them"
    return Finding("documents", "warn" if with_vectors else "fail", seen, advice, facts)


def judge_members(schema: IndexSchema) -> Finding | None:
    """The finding for a name that stands for several indices: which they are, and what differs between them; None for
    one index."""
    members = schema.layout.members
    if not members.names:
        return None
    count = len(members.names)
    seen = f"stands for {count} {'index' if count == 1 else 'indices'} ({', '.join(members.names[:5])}"
    seen += f" and {count - 5} more)" if count > 5 else ")"
    if members.hidden:
        seen += f"; not searched, since the engine hides them from patterns: {', '.join(members.hidden[:5])}"
    facts = {
        "members": list(members.names),
        "closed": list(members.closed),
        "hidden": list(members.hidden),
        "differences": list(members.differences),
    }
    if notes := list(members.notes_of([schema.vector_field or ""])):
        advice = "name those that belong together in index.name, with commas; --json lists all that differs"
        return Finding("members", "warn", f"{seen}; {'; '.join(notes)}", advice, facts)
    if members.differences:
        others = len(members.differences)
        seen += f"; {others} field{'s'[: others != 1]} that {'is' if others == 1 else 'are'} not searched for text or "
        seen += f"by vectors {'differs' if others == 1 else 'differ'} between them: {members.differences[0]}"
    return Finding("members", "ok", seen, facts=facts)
