"""Passages, vectors and marker put into documents that others write: each on the condition that nobody wrote since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import orjson

from connector.backfill.fields import BackfillPlan
from connector.backfill.scan import FoundDocument
from connector.backfilled import AddedNames
from connector.clusters.failures import explain_block, explain_denial, is_block, is_denial, is_nowhere
from connector.clusters.indices.vector_choices import choose
from connector.clusters.reasons import explain_reason
from connector.clusters.rest import RestCluster
from connector.clusters.vector_form import VectorForm, as_base64, as_floats, vector_form
from connector.clusters.writing.bulk import RETRYABLE_STATUS, split_chunks
from connector.clusters.writing.no_room import NoRoom, explain_body_limit, explain_too_large, read_no_room
from connector.errors import AccessDenied, ClusterError, ClusterUnavailable, IndexBlocked
from connector.types import Passage, Vectors

JSON = dict[str, Any]
OutcomeKind = Literal["written", "unchanged", "conflict", "gone", "refused", "pressure", "blocked"]
OnBulk = Callable[[int, int, Sequence["UpdateOutcome"]], None]
SendBulk = Callable[[Sequence[bytes]], Awaitable[JSON]]
SendActions = Callable[[Sequence[bytes]], Awaitable[list["UpdateOutcome"]]]


@dataclass(frozen=True, slots=True)
class PassageUpdate:
    """What one document is to hold of ours: its passages with their vectors [n, dims], and its marker."""

    document: FoundDocument
    passages: Sequence[Passage]
    vectors: Vectors
    marker: str


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """What became of one update, and the engine's own reason where it was not taken.

    `conflict`: somebody wrote the document since it was read; `gone`: somebody deleted it; `pressure`: the cluster has
    too much to do, and may take it later: `no_room` says of what it has too little; `blocked`: the index takes no
    writes, or has put them off for too long; `refused`: not this one, ever. `seq_no` is that of our write."""

    kind: OutcomeKind
    reason: str = ""
    seq_no: int | None = None
    no_room: NoRoom = "queue"


def ignore_bulk(took_ms: int, documents: int, outcomes: Sequence[UpdateOutcome]) -> None:
    """Nobody paces the writes."""


async def write_updates(
    cluster: RestCluster, plan: BackfillPlan, updates: Sequence[PassageUpdate], *, send: SendActions | None = None
) -> list[UpdateOutcome]:
    """Put passages into documents that are still as they were read; an outcome for each, in order.

    `send` sends actions, and gives their outcomes; once as they are where it is not given. Raises ClusterUnavailable
    where nothing is known of any, and AccessDenied."""
    send = send or partial(write_actions, cluster, plan.index)
    form = vector_form(cluster.engine, choose(cluster.engine, plan.vectors, plan.added.encoder.dims).element)
    outcomes = await send([build_action(plan, update, form) for update in updates])
    refused = [at for at, outcome in enumerate(outcomes) if outcome.kind == "refused"]
    if form is as_base64 and refused:  # perhaps by a node of an earlier version, while the cluster is upgraded
        again = await send([build_action(plan, updates[at], as_floats) for at in refused])
        for at, outcome in zip(refused, again, strict=True):
            outcomes[at] = outcome
    return outcomes


def build_action(plan: BackfillPlan, update: PassageUpdate, form: VectorForm) -> bytes:
    """The two lines of a partial update.

    Not `detect_noop`: where the application's mapping ignored our fields before they were mapped, the same content
    would be taken for no change and never be indexed."""
    names = plan.added.names
    passages = [
        {"ordinal": passage.ordinal, "text": passage.text, names.vector_name: form(vector)}
        for passage, vector in zip(update.passages, update.vectors, strict=True)
    ]
    body = {
        "doc": {names.passages: passages, names.marker: plan.added.marker_values(update.marker)},
        "detect_noop": False,
    }
    action = {"update": build_condition(update.document)}
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


def build_removal(document: FoundDocument, taken_out: Sequence[AddedNames]) -> bytes:
    """The two lines of a partial update that leaves nothing of passages of those names but two nulls."""
    nulls = {field: None for names in taken_out for field in (names.passages, names.marker)}
    action = {"update": build_condition(document)}
    return b"%b\n%b\n" % (orjson.dumps(action), orjson.dumps({"doc": nulls, "detect_noop": False}))


def build_condition(document: FoundDocument) -> JSON:
    """Which document is meant, and that it must be as it was read."""
    condition: JSON = {
        "_index": document.index,
        "_id": document.doc_id,
        "if_seq_no": document.seq_no,
        "if_primary_term": document.primary_term,
    }
    return condition | ({"routing": document.routing} if document.routing is not None else {})


async def write_actions(
    cluster: RestCluster,
    index: str,
    actions: Sequence[bytes],
    *,
    params: Mapping[str, str] | None = None,
    on_bulk: OnBulk = ignore_bulk,
) -> list[UpdateOutcome]:
    """The same for actions that are built already. Raises ClusterError where there is no index of that name."""
    bulk = partial(cluster.client.bulk, index, params=params, timeout_s=cluster.timeout_s)
    outcomes: list[UpdateOutcome] = []
    for start, end in split_chunks(actions, cluster.max_chunk_bytes):
        outcomes += await _send(bulk, actions[start:end], on_bulk)
    return outcomes


async def _send(bulk: SendBulk, actions: Sequence[bytes], on_bulk: OnBulk) -> list[UpdateOutcome]:
    count = len(actions)
    try:
        reply = await bulk(actions)
    except IndexBlocked as error:
        return [UpdateOutcome("blocked", str(error))] * count
    except ClusterError as error:
        if error.status == 413:
            if count > 1:
                return await _send_halves(bulk, actions, on_bulk)
            return [UpdateOutcome("refused", explain_body_limit(actions[0]))]
        if error.status != 429:
            raise
        outcomes = [UpdateOutcome("pressure", str(error), no_room=read_no_room(str(error)))] * count
        on_bulk(0, count, outcomes)
    else:
        outcomes = _read_outcomes(reply, count)
        on_bulk(int(reply.get("took", 0)), count, outcomes)
    if too_large := [at for at, outcome in enumerate(outcomes) if outcome.no_room == "never"]:
        return await _send_smaller(bulk, actions, outcomes, too_large, on_bulk)
    return outcomes


async def _send_smaller(
    bulk: SendBulk,
    actions: Sequence[bytes],
    outcomes: Sequence[UpdateOutcome],
    too_large: Sequence[int],
    on_bulk: OnBulk,
) -> list[UpdateOutcome]:
    """The outcomes, once those actions that are too large together were sent in smaller requests."""
    found = list(outcomes)
    if len(actions) == 1:
        return [UpdateOutcome("refused", explain_too_large(found[0].reason))]
    again = await _send_halves(bulk, [actions[at] for at in too_large], on_bulk)
    for at, outcome in zip(too_large, again, strict=True):
        found[at] = outcome
    return found


async def _send_halves(bulk: SendBulk, actions: Sequence[bytes], on_bulk: OnBulk) -> list[UpdateOutcome]:
    middle = len(actions) // 2
    first = await _send(bulk, actions[:middle], on_bulk) if middle else []
    return first + await _send(bulk, actions[middle:], on_bulk)


def _read_outcomes(reply: JSON, count: int) -> list[UpdateOutcome]:
    items = reply.get("items")
    if not isinstance(items, list) or len(items) != count:
        raise ClusterUnavailable("the reply to a bulk request does not fit what was sent; is a proxy in between?")
    return [read_outcome(next(iter(item.values()))) for item in items]


def read_outcome(item: JSON) -> UpdateOutcome:
    """What became of one action of a bulk request. Raises what holds for all of them: AccessDenied, which OpenSearch
    says of each document, and ClusterError where there is no index of that name."""
    status, error = item["status"], item.get("error")
    if status < 300:
        kind: OutcomeKind = "unchanged" if item.get("result") == "noop" else "written"
        return UpdateOutcome(kind, seq_no=item.get("_seq_no"))
    if is_denial(error):
        reason = explain_reason(error, status)
        raise AccessDenied(explain_denial(reason, index=item.get("_index", "")) or reason, status=status)
    if is_block(error):
        return UpdateOutcome("blocked", explain_block(error, status))
    reason = explain_reason(error, status)
    if is_nowhere(error):
        raise ClusterError(reason, status=status)
    if status == 409:
        return UpdateOutcome("conflict", reason)
    if status == 404 and (error is None or "document_missing" in str(error)):  # None: of a delete
        return UpdateOutcome("gone", reason)
    if status in RETRYABLE_STATUS:
        return UpdateOutcome("pressure", reason, no_room=read_no_room(reason))
    return UpdateOutcome("refused", reason)
