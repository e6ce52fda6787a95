"""Messages of a topic -> rows, and ids that are gone. A value is a JSON object, a key an id, no value a deletion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connector.ingest.documents import spell_id
from connector.ingest.sources import Row
from connector.ingest.sources.json_text import parse_json
from connector.ingest.survey import has_value, value_at_path

KEY_COLUMN = "_key"


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """A message, and where it stands in its topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    sent_s: float | None = None

    @property
    def origin(self) -> str:
        return f"partition {self.partition}, offset {self.offset}"


def to_changes(messages: Iterable[TopicMessage], id_column: str) -> tuple[list[Row], list[str]]:
    """What is to be written, and what removed: of several messages about one document, the last one counts.

    A message that cannot be read is a row with its reason, and leaves the document as it is."""
    broken: list[Row] = []
    last: dict[str, Row | None] = {}
    for message in messages:
        row = to_row(message, with_key=id_column == KEY_COLUMN)
        if row is None:
            last[_text(message.key or b"")] = None
        elif row.error or not has_value(doc_id := row.values.get(id_column, value_at_path(row, id_column))):
            broken.append(row)
        else:
            name = spell_id(doc_id)
            last.pop(name, None)
            last[name] = row
    rows = [row for row in last.values() if row is not None]
    return [*broken, *rows], [doc_id for doc_id, row in last.items() if row is None]


def to_row(message: TopicMessage, *, with_key: bool) -> Row | None:
    """The row in a message, with its key as a column where that is the id; None where its document is gone."""
    try:
        key = message.key.decode() if message.key is not None else None
    except UnicodeDecodeError:
        return Row({}, message.origin, "its key is not UTF-8", _text(message.key or b""))
    if message.value is None:
        if key is None:
            return Row({}, message.origin, "it has neither key nor value, so it says nothing", "")
        return None
    value_text = _text(message.value)
    if message.value[:1] == b"\0":
        return Row(
            {}, message.origin, "its value is of a schema registry (Avro, Protobuf); only JSON is read", value_text
        )
    try:
        values = parse_json(message.value.decode())
    except UnicodeDecodeError:
        return Row({}, message.origin, "its value is not UTF-8", value_text)
    except RecursionError:
        return Row({}, message.origin, "its value is nested too deep", value_text)
    except ValueError as error:
        return Row({}, message.origin, f"its value is not JSON: {error}", value_text)
    if not isinstance(values, dict):
        return Row({}, message.origin, "its value is not a JSON object", value_text)
    return Row(values | ({KEY_COLUMN: key} if with_key and key is not None else {}), message.origin)


def oldest_of(messages: Sequence[TopicMessage]) -> float | None:
    """When the first of them was sent, since 1970; None where that is not known."""
    return min((message.sent_s for message in messages if message.sent_s is not None), default=None)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
