"""What a check-up says of one part: how it is, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `warn` is worth a look, `fail` is in the way of a search, `skip` could not be looked at.

    `facts` holds the numbers of `seen` for programs. All but `ok` have an advice."""

    check: str
    status: Status
    seen: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def failed(check: str, error: Exception, *, advice: str, status: Status = "fail") -> Finding:
    """The finding for an error of ours, whose text says after a semicolon what to do."""
    seen, _, what_to_do = str(error).partition("; ")
    return Finding(check, status, seen, what_to_do or advice)
