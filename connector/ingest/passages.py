"""Documents -> passages that fit the encoder: cut at sentence borders, each repeating the end of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.cutting import cut_spans
from connector.schema import IndexSchema
from connector.text import normalise_text
from connector.types import Document, Passage

SPECIAL_TOKENS = 2  # what an encoder puts around a text
TITLE_SHARE = 0.25  # a first text field of at most this share of a passage is repeated before each passage


def cut(
    documents: Sequence[Document],
    schema: IndexSchema,
    *,
    max_tokens: int,
    token_offsets: Callable[[Sequence[str]], list[list[tuple[int, int]]]],
) -> list[tuple[Passage, ...]]:
    """The passages of each document: its text fields in order, at most `max_tokens` long, each headed by the title.

    Passages are in the one spelling of `normalise_text`; the document's fields keep the source's.
    The title is the first of several text fields, if it is short. `token_offsets` gives the tokens of texts as
    spans."""
    names = list(schema.fields.text)
    title_names, body_names = (names[:1], names[1:]) if len(names) > 1 else ([], names)
    titles = [_text_of(document, title_names) for document in documents]
    bodies = [_text_of(document, body_names) for document in documents]
    title_tokens, body_tokens = token_offsets(titles), token_offsets(bodies)
    room = max_tokens - SPECIAL_TOKENS
    passages = []
    for document, title, body, title_at, body_at in zip(
        documents, titles, bodies, title_tokens, body_tokens, strict=True
    ):
        if len(title_at) > room * TITLE_SHARE:  # no title, but text that happens to come first
            body, title = f"{title}\n{body}", ""
            (body_at,) = token_offsets([body])
            title_at = []
        texts = [
            body[start:end].strip()
            for start, end in cut_spans(body, body_at, room - len(title_at), schema.passages.overlap_tokens)
        ]
        headed = [f"{title}\n{text}" if title and text else title or text for text in texts] or (
            [title] if title else []
        )
        passages.append(tuple(Passage(document.doc_id, ordinal, text) for ordinal, text in enumerate(headed)))
    return passages


def _text_of(document: Document, names: Sequence[str]) -> str:
    return normalise_text("\n".join(document.fields[name] for name in names if name in document.fields))
