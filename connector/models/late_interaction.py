"""Late interaction: MaxSim between the token vectors of query and passage, from any encoder, without training.

Khattab and Zaharia, ColBERT, SIGIR 2020: score = sum over query tokens of the best cosine with a passage token. Here the
sum is a weighted mean, so that a score lies in [-1, 1]; the weights are the rarity of the query's words in the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from connector.errors import ModelError
from connector.models.backends import Backend, exactness, use_backend
from connector.models.batching import batches
from connector.models.encoder import unlimited
from connector.models.files import find_model, quiet_loading, short_name, weights_sha256
from connector.models.scorer import QueryWeights, ScorerKind, Scores
from connector.models.token_cache import TokenCache, TokenVectors
from connector.models.truncation import keep_head_and_tail

FLOOR_SHARE = 0.25


class LateInteractionScorer:
    """MaxSim over the last hidden states of any sentence-transformers encoder, or of a ColBERT-like model's own vectors."""

    kind: ScorerKind = "late-interaction"

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        backend: Backend = "torch",
        max_length: int = 0,
        max_batch_tokens: int = 4_096,
        cache_bytes: int = 0,
    ) -> None:
        from sentence_transformers import SentenceTransformer

        quiet_loading()
        folder = find_model(model)
        try:
            self._model = SentenceTransformer(
                str(folder),
                device=device if backend == "torch" else "cpu",
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"cannot load the encoder {model!r}: {error}") from error
        self._model.eval()
        self._backend = unlimited(self._model.tokenizer)
        self.max_length = max_length or int(self._model.max_seq_length or 512)
        self._model.max_seq_length = self.max_length
        self._special = self._model.tokenizer.num_special_tokens_to_add(pair=False)
        self._max_batch_tokens = max_batch_tokens
        self._cache = TokenCache(cache_bytes)
        self.name = short_name(model)
        weights = weights_sha256(folder)
        use_backend(self._model, backend, identity=f"{weights}:{self.kind}")
        self.fingerprint = f"{self.name}@{weights[:12]}:late-interaction:{self.max_length}{exactness(backend)}"

    def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        check: Callable[[], None] = lambda: None,
        scope: str = "",
    ) -> Scores:
        if not passages:
            return Scores(np.zeros(0, dtype=np.float32))
        room = self.max_length - self._special
        encodings = self._backend.encode_batch([query, *passages], add_special_tokens=False)
        fitted = [
            keep_head_and_tail(text, encoding.offsets, max_tokens=room)
            for text, encoding in zip([query, *passages], encodings, strict=True)
        ]
        (query_text, query_cut), *passage_texts = fitted
        query_vectors, token_weights = self._encode_query(query_text, None if query_cut else weights)
        lengths = [min(len(encoding.offsets), room) + self._special for encoding in encodings[1:]]
        vectors = self._passage_vectors([text for text, _ in passage_texts], lengths, check, scope)
        values = np.array(
            [max_sim(query_vectors, token_weights, one.astype(np.float32)) for one in vectors], dtype=np.float32
        )
        truncated = tuple(position for position, (_, cut) in enumerate(passage_texts) if cut)
        return Scores(values, truncated, query_cut, tokens=sum(lengths))

    def _encode_query(self, text: str, weights: QueryWeights | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Token vectors [q, dims] of the query and their weights [q], which add up to 1."""
        (vectors,) = self._token_vectors([text])
        encoding = self._backend.encode(text, add_special_tokens=True)
        count = len(vectors)  # a query that was cut may lose another token when its pieces are joined
        return vectors, spread(weights, encoding.offsets[:count], encoding.special_tokens_mask[:count])

    def _passage_vectors(
        self, texts: Sequence[str], lengths: Sequence[int], check: Callable[[], None], scope: str
    ) -> list[TokenVectors]:
        """Token vectors of each text: those that were seen before from the cache, the rest from the model.

        Half precision always, so that a score does not depend on what the cache holds."""
        found = {text: self._cache.get(text, scope) for text in dict.fromkeys(texts)}
        missing = [text for text, vectors in found.items() if vectors is None]
        length_of = dict(zip(texts, lengths, strict=True))
        for batch in batches([length_of[text] for text in missing], max_batch_tokens=self._max_batch_tokens):
            check()
            chosen = [missing[position] for position in batch]
            for text, vectors in zip(chosen, self._token_vectors(chosen), strict=True):
                half = vectors.astype(np.float16)
                found[text] = half
                self._cache.put(text, half, scope)
        return [known for text in texts if (known := found[text]) is not None]

    def _token_vectors(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Unit vectors [tokens, dims] of each text's tokens, special tokens included, padding left out."""
        import torch

        with torch.inference_mode():
            features = self._model.preprocess(list(texts))
            features = {
                key: value.to(self._model.device) if hasattr(value, "to") else value for key, value in features.items()
            }
            output = self._model[0](features)
            vectors = torch.nn.functional.normalize(output["token_embeddings"].float(), dim=-1).cpu().numpy()
            mask = output["attention_mask"].bool().cpu().numpy()
        return [own[kept] for own, kept in zip(vectors, mask, strict=True)]


def max_sim(query: NDArray[np.float32], weights: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """The weighted mean, over query tokens [q, dims], of the best cosine with a passage token [t, dims]."""
    return float((query @ passage.T).max(axis=1) @ weights)


def spread(
    weights: QueryWeights | None, offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> NDArray[np.float32]:
    """Weights [q] of a query's tokens that add up to 1, from weighted spans of its text.

    The tokens of a word share its weight. A token that overlaps no span (a stop word, a punctuation mark) and a special
    token take FLOOR_SHARE of the mean span. Without weights all tokens count alike. Measured in docs/quality.md."""
    equal = np.full(len(offsets), 1 / max(len(offsets), 1), dtype=np.float32)
    if not weights:
        return equal
    owners = [
        None if is_special else next((span for span in weights if span[0] < end and start < span[1]), None)
        for (start, end), is_special in zip(offsets, special, strict=True)
    ]
    floor = FLOOR_SHARE * sum(weight for _, _, weight in weights) / len(weights)
    token_weights = np.array([owner[2] / owners.count(owner) if owner else floor for owner in owners], dtype=np.float32)
    total = float(token_weights.sum())
    return token_weights / np.float32(total) if total > 0 else equal
