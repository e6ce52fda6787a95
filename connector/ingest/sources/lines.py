"""A source that is read from its first byte to its last: JSON Lines, CSV and TSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO

from connector.errors import SourceError
from connector.ingest.sources.row import Row
from connector.ingest.sources.streams import READ_ERRORS, Input
from connector.signatures import HEAD_BYTES, why_no_text

ReadRows = Callable[[IO[bytes], str, Counter[str]], Iterator[Row]]


class LineSource:
    """Rows that `read` takes out of a file or stream. What breaks off gives its whole rows before the error."""

    id_field: str | None = None
    alike = False

    def __init__(self, opened: Input, read: ReadRows, *, typed: bool = True) -> None:
        self.typed = typed
        self._input = opened
        self._read = read
        self.progress = 0.0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        self.progress = 0.0
        self.notes = Counter()
        name = self._input.name
        try:
            with self._input.open() as stream:
                if reason := why_no_text(stream.peek(HEAD_BYTES)[:HEAD_BYTES]):  # type: ignore[attr-defined]
                    raise SourceError(f"{name} holds {reason}; export it as JSON Lines, CSV or Parquet")
                for row in self._read(stream, name, self.notes):
                    self.progress = self._input.share_read()
                    yield row
        except EOFError as error:
            raise SourceError(
                f"cannot read {name} to its end, it is cut off ({error}); what stands before the cut was read: "
                "fetch or pack the file again"
            ) from error
        except UnicodeError as error:
            raise SourceError(
                f"cannot read {name} to its end, it stops within a character ({error}); fetch it again"
            ) from error
        except READ_ERRORS as error:
            raise SourceError(f"cannot read {name}: {error}") from error
        self.progress = 1.0
