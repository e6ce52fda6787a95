"""What every encoder promises (`Encoder` in connector/models/encoder.py)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from connector.models.encoder import Encoder
from connector.settings.sections import Settings
from connector.wiring import load_encoder

TEXTS = (
    "The warranty of the gateway lasts two years.",
    "A cold room is checked twice a day.",
    "Refunds reach the customer within a week.",
)
ODD_TEXTS = ("", " ", "\n", "🙂🙂", "Größe naïve 日本語", "x" * 5_000, "word " * 3_000, "\ufeff\u00ad")
SAME = 1e-3  # how far a vector may move with what is encoded beside it
UNIT = 1e-3  # how far its length may be from 1


class EncoderContract:
    """Inherit it, and give the fixture `settings`, in which `encoder` names the encoder; or `encoder` itself."""

    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, settings: Settings) -> Encoder:
        """The encoder, loaded as a search loads it."""
        return load_encoder(settings)

    def test_its_fingerprint_says_what_it_is(self, encoder: Encoder) -> None:
        fingerprint = encoder.fingerprint

        assert fingerprint.name
        assert fingerprint.sha256, "another version of the model must have another fingerprint"
        assert fingerprint.dims > 0
        assert fingerprint.max_tokens >= 16

    def test_each_text_has_a_vector_of_length_1(self, encoder: Encoder) -> None:
        vectors = encoder.encode(TEXTS)

        assert vectors.shape == (len(TEXTS), encoder.fingerprint.dims)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=UNIT)

    def test_no_texts_have_no_vectors(self, encoder: Encoder) -> None:
        assert encoder.encode([]).shape == (0, encoder.fingerprint.dims)

    def test_a_text_has_the_same_vector_alone_and_among_others(self, encoder: Encoder) -> None:
        together = encoder.encode([*TEXTS, "word " * 60])
        backwards = encoder.encode(TEXTS[::-1])[::-1]
        alone = np.concatenate([encoder.encode([text]) for text in TEXTS])

        assert together[:-1] == pytest.approx(alone, abs=SAME)
        assert backwards == pytest.approx(alone, abs=SAME)

    def test_a_query_has_a_vector_of_the_same_kind_and_finds_its_text(self, encoder: Encoder) -> None:
        vectors = encoder.encode(TEXTS)
        queries = [encoder.encode_query(text) for text in TEXTS]

        for place, query in enumerate(queries):
            assert query.shape == (encoder.fingerprint.dims,)
            assert np.linalg.norm(query) == pytest.approx(1.0, abs=UNIT)
            assert int(np.argmax(vectors @ query)) == place

    def test_any_text_has_a_vector(self, encoder: Encoder) -> None:
        vectors = encoder.encode(ODD_TEXTS)

        assert np.isfinite(vectors).all()
        assert all(np.isfinite(encoder.encode_query(text)).all() for text in ODD_TEXTS[:4])

    def test_tokens_are_spans_of_the_text_in_order_and_none_is_left_out(self, encoder: Encoder) -> None:
        long = "word " * (2 * encoder.fingerprint.max_tokens) + "last"
        texts = [*TEXTS, *ODD_TEXTS, long]
        offsets = encoder.token_offsets(texts)

        assert len(offsets) == len(texts)
        for text, spans in zip(texts, offsets, strict=True):
            assert all(0 <= start <= end <= len(text) for start, end in spans)
            assert [start for start, _ in spans] == sorted(start for start, _ in spans)
        assert offsets[len(TEXTS)] == []
        assert offsets[-1][-1][1] == len(long), "the tokens of a long text are not cut: passages are cut by them"
        assert encoder.token_offsets([]) == []

    def test_threads_may_share_it(self, encoder: Encoder) -> None:
        alone = encoder.encode(TEXTS)
        with ThreadPoolExecutor(2) as pool:
            at_once = list(pool.map(encoder.encode, [TEXTS, TEXTS]))

        assert all(vectors == pytest.approx(alone, abs=SAME) for vectors in at_once)
