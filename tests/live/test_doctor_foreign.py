"""The doctor on indices that somebody else made: they are looked at as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.indices.doctoring import look, not_ok, write
from support.indices.scratch import engine_client, unique_name

from connector.models.encoder import Encoder
from connector.settings.sections import ClusterSettings

pytestmark = pytest.mark.usefixtures("patient_doctor")


@pytest.fixture
def foreign(engine: ClusterSettings, encoder: Encoder) -> Iterator[str]:
    """The name of an index that somebody else made: a text field, and vectors in two of three documents."""
    name = unique_name()
    dims = encoder.fingerprint.dims
    vectors = {
        "dense_vector": {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine"},
        "knn_vector": {"type": "knn_vector", "dimension": dims,
                       "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}},
    }  # fmt: skip
    with engine_client(engine) as client:
        is_opensearch = client.get("/").json()["version"].get("distribution") == "opensearch"
        vector = vectors["knn_vector" if is_opensearch else "dense_vector"]
        settings = {"index.knn": True} if is_opensearch else {}
        properties = {"body": {"type": "text"}, "embedding": vector}
        write(client, "PUT", f"/{name}", {"settings": settings, "mappings": {"properties": properties}})
        texts = ["Freezers are checked twice a day.", "Gateways need current firmware.", "Offices close at Christmas."]
        for at, (text, made) in enumerate(zip(texts, encoder.encode(texts).tolist(), strict=True)):
            write(client, "PUT", f"/{name}/_doc/{at}", {"body": text} | ({"embedding": made} if at else {}))
        write(client, "POST", f"/{name}/_refresh")
        yield name
        write(client, "DELETE", f"/{name}")


async def test_an_index_of_somebody_else_is_looked_at_as_it_is(engine: ClusterSettings, foreign: str) -> None:
    fields = {"index__text_fields": {"body": 1.0}}
    unnamed = await look(engine, foreign, None)
    lexical = await look(engine, foreign, None, **fields)
    both = await look(engine, foreign, None, **fields, index__vector_field="embedding")

    assert unnamed["index"].status == "fail"
    assert "index.text_fields (it has: body) and index.vector_field (it has: embedding)" in unnamed["index"].advice
    assert not_ok(lexical) == {"encoder": "skip", "reranker": "skip"}
    assert "made by somebody else: searched as it is, never written to" in lexical["index"].seen
    assert set(lexical["query"].facts["took_ms"]) & {"dense", "encode"} == set()
    assert not_ok(both) == {"documents": "warn", "reranker": "skip"}
    assert both["documents"].facts == {"documents": 3, "with_vectors": 2}
    assert "mapping" not in both


async def test_vectors_of_another_model_are_a_failure_with_the_figure(
    engine: ClusterSettings, foreign: str, encoder: Encoder
) -> None:
    given = {"index__text_fields": {"body": 1.0}, "index__vector_field": "embedding"}
    right = await look(engine, foreign, None, **given)
    with engine_client(engine) as client:
        for at, text in enumerate(["Freezers.", "Gateways.", "Offices."]):  # the components in another order
            other = encoder.encode([text])[0][::-1].tolist()
            write(client, "PUT", f"/{foreign}/_doc/{at}?refresh=true", {"body": text, "embedding": other})
    wrong = await look(engine, foreign, None, **given)

    assert (right["vectors"].status, right["vectors"].facts["compared"]) == ("ok", 2)
    assert right["vectors"].facts["median"] > 0.999
    assert wrong["vectors"].status == "fail"
    assert abs(wrong["vectors"].facts["median"]) < 0.3
    assert (
        "the text of body of 3 documents was encoded again: the median cosine with embedding" in wrong["vectors"].seen
    )


async def test_a_text_that_is_searchable_but_not_kept_is_named(engine: ClusterSettings) -> None:
    name = unique_name()
    mappings = {
        "_source": {"excludes": ["body"]},
        "properties": {"body": {"type": "text"}, "name": {"type": "keyword"}},
    }
    with engine_client(engine) as client:
        write(client, "PUT", f"/{name}", {"mappings": mappings})
        write(client, "PUT", f"/{name}/_doc/1?refresh=true", {"body": "Freezers are checked.", "name": "x"})
        found = await look(engine, name, None, index__text_fields={"body": 1.0})
        write(client, "DELETE", f"/{name}")

    assert found["text"].status == "warn"
    assert "'body' is searchable but not kept: _source leaves it out" in found["text"].seen
    assert found["query"].status == "skip"


async def test_an_empty_index_of_somebody_else_gets_no_advice_to_fill_it(engine: ClusterSettings) -> None:
    name = unique_name()
    with engine_client(engine) as client:
        write(client, "PUT", f"/{name}", {"mappings": {"properties": {"body": {"type": "text"}}}})
        found = await look(engine, name, None, index__text_fields={"body": 1.0})
        write(client, "DELETE", f"/{name}")

    assert found["documents"].status == "warn"
    assert all("connector ingest" not in finding.advice for finding in found.values())
