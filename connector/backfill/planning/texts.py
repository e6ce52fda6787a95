"""Which fields of somebody's index are texts to encode: as named, or found out from the mapping and a sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connector.clusters.indices.foreign import TEXT_TYPES, MappedField, read_mapping
from connector.clusters.paths import index_path
from connector.clusters.reading.hits import values_at
from connector.clusters.rest import RestCluster
from connector.errors import SettingsError
from connector.ingest.plan import LONG_TEXT_CHARS, TEXT_NAMES, TITLE_NAMES

JSON = dict[str, Any]
SAMPLED = 200
SEED = 7
TEXT_BOOST = 1.0


async def find_text_fields(cluster: RestCluster, index: str, mapping: JSON, own: Sequence[str]) -> dict[str, float]:
    """The text fields of an index with their boosts: its title, and what holds prose. `own` are the names of our
    fields.

    Raises SettingsError where none can be told."""
    candidates = [found.name for found in _candidates(mapping) if found.name.split(".")[0] not in own]
    chosen = choose_texts(await _sample(cluster, index, candidates), candidates) if candidates else []
    if not chosen:
        raise SettingsError(
            f"cannot tell which fields of index {index!r} are texts to encode: none has a usual name "
            f"({', '.join((*TITLE_NAMES, *TEXT_NAMES))}) or long texts; name them: --text FIELD. "
            f"It has: {', '.join(candidates) or 'no text field'}"
        )
    return dict.fromkeys(chosen, TEXT_BOOST)


def choose_texts(samples: Sequence[JSON], names: Sequence[str]) -> list[str]:
    """Those of the fields that are a title or hold prose, the title first, by the sources of some documents."""
    usual = {name: name.rsplit(".", 1)[-1].lower() for name in names}
    title = next((name for wanted in TITLE_NAMES for name in names if usual[name] == wanted), None)
    prose = [name for name in names if name != title and (usual[name] in TEXT_NAMES or _is_prose(samples, name))]
    if not title and not prose and len(names) == 1:
        return [*names]
    return [*([title] if title else []), *prose]


def _is_prose(samples: Sequence[Mapping[str, Any]], name: str) -> bool:
    texts = [text for source in samples for text in values_at(source, name.split("."))]
    return bool(texts) and sum(map(len, texts)) >= LONG_TEXT_CHARS * len(texts)


def _candidates(mapping: JSON) -> Iterator[MappedField]:
    """The fields whose texts lie in the documents themselves: no multi-fields, no copies, nothing in nested objects,
    which are comments and the like."""
    mapped = read_mapping([mapping])
    for found in mapped.fields.values():
        own_text = found.type in TEXT_TYPES and found.name == found.source and not found.target
        if (
            own_text
            and not found.nested
            and found.name not in mapped.copies
            and found.mapping.get("index") is not False
        ):
            yield found


async def _sample(cluster: RestCluster, index: str, names: Sequence[str]) -> list[JSON]:
    random = {"query": {"match_all": {}}, "random_score": {"seed": SEED, "field": "_seq_no"}}
    body = {"size": SAMPLED, "_source": [*names], "query": {"function_score": random}}
    path = index_path(index, "_search")
    reply = await cluster.client.request("POST", path, body=body, timeout_s=cluster.timeout_s)
    return [hit.get("_source", {}) for hit in reply["hits"]["hits"]]
