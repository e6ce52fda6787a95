"""Texts that are longer than a model reads keep their head and their tail, and the caller is told."""

from __future__ import annotations

from collections.abc import Sequence

HEAD_SHARE = 0.75
JOINT = " … "


def keep_head_and_tail(
    text: str, offsets: Sequence[tuple[int, int]], *, max_tokens: int, joint_tokens: int = 1
) -> tuple[str, bool]:
    """The text cut to about `max_tokens` tokens, three quarters from its head and the rest from its tail; whether it
    was cut.

    `offsets` are the text's tokens as (start, end) in characters; `joint_tokens` is what the joint between the two
    costs."""
    if len(offsets) <= max_tokens:
        return text, False
    room = max(max_tokens - joint_tokens, 1)
    head = max(1, round(room * HEAD_SHARE))
    tail = room - head
    kept = text[: offsets[head - 1][1]]
    return (kept + JOINT + text[offsets[-tail][0] :] if tail else kept), True
