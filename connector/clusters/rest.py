"""Elasticsearch and OpenSearch: one code path over the official clients; a dialect holds the JSON that differs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from connector.backfilled import META_KEY, Backfilled
from connector.clusters.beside.index import BesideIndex
from connector.clusters.beside.vectors_index import Origin, read_origin, vectors_name
from connector.clusters.clients import Client
from connector.clusters.dialect import JSON, Dialect
from connector.clusters.indices.foreign import build_foreign_schema
from connector.clusters.indices.mapping import build_index
from connector.clusters.indices.members import (
    BACKING,
    compare_members,
    find_members,
    join_added,
    join_ours,
    stands_for_several,
)
from connector.clusters.indices.vector_choices import check_needs, choose, resolve
from connector.clusters.paths import index_path, search_path
from connector.clusters.protocol import Engine, ForeignFields, nearest_name
from connector.clusters.reading.views import View
from connector.clusters.rest_index import ADMIN_TIMEOUT_S, RestIndex
from connector.clusters.vector_form import element_of, vector_form
from connector.clusters.writing.write_place import WritePlace, read_uuid
from connector.errors import AccessDenied, ClusterError, IndexExists, IndexMissing, SettingsError
from connector.layout import ONE, Members
from connector.schema import IndexSchema, VectorSettings

ALL_SETTINGS = {"flat_settings": "true", "expand_wildcards": "all"}


class RestCluster:
    """A connection to Elasticsearch or OpenSearch."""

    def __init__(
        self,
        client: Client,
        dialect: Dialect,
        engine: Engine,
        *,
        url: str,
        max_chunk_bytes: int,
        timeout_s: float,
        knn_library: bool = False,
    ) -> None:
        self.engine = engine
        self._client = client
        self._dialect = dialect
        self._url = url
        self._max_chunk_bytes = max_chunk_bytes
        self._timeout_s = timeout_s
        self._knn_library = knn_library

    @property
    def client(self) -> Client:
        """For what the protocol does not ask, as the doctor, a back-fill and the gateway do."""
        return self._client

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    @property
    def url(self) -> str:
        return self._url

    @property
    def max_chunk_bytes(self) -> int:
        """The most that a bulk request holds."""
        return self._max_chunk_bytes

    @property
    def timeout_s(self) -> float:
        return self._timeout_s

    def asked_by(self, client: Client) -> RestCluster:
        """The same cluster, asked through another client."""
        other = copy.copy(self)
        other._client = client
        return other

    async def create_index(self, name: str, schema: IndexSchema) -> RestIndex:
        schema.fields.check_names()
        schema = await self.choose_vectors(schema)
        body = build_index(self.engine, schema)
        try:
            await self._client.request("PUT", index_path(name), body=body, timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if error.status == 400 and "already exists" in str(error):
                raise IndexExists(name) from error
            raise
        return self._index(name, schema)

    async def choose_vectors(self, schema: IndexSchema) -> IndexSchema:
        """The schema with what its vectors are indexed as on this cluster. Raises SettingsError as `check_vectors`
        does."""
        await self.check_vectors(schema.vectors, schema.dims)
        return resolve(self.engine, schema)

    async def check_vectors(self, vectors: VectorSettings, dims: int) -> None:
        """Refuse what the engine has not, or would take and then fail with. Raises SettingsError."""
        choice = choose(self.engine, vectors, dims)
        await check_needs(self._client, self.engine, choice, knn_library=self._knn_library)

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> RestIndex:
        mappings = {index: found["mappings"] for index, found in (await self._named(name, "_mapping")).items()}
        if not mappings:
            raise IndexMissing(name, self._url, nearest_name(name.strip("*"), await self._names()))
        members = ONE
        if stands_for_several(name, list(mappings)):
            members = find_members(name, mappings, await self._named(name, "_settings", ALL_SETTINGS))
            mappings = {index: mappings[index] for index in members.names}
        elif beside := await self._beside(name, mappings, foreign):
            return beside
        metas = {index: found.get("_meta", {}) for index, found in mappings.items()}
        schema = join_ours(name, {index: IndexSchema.from_meta(meta) for index, meta in metas.items()})
        if schema is None:
            schema = self._foreign_schema(name, mappings, foreign)
        if members.names:
            members = compare_members(members, mappings, schema)
            schema = _of_members(schema, members)
        view = await self._view(name, list(mappings))
        return self._index(name, schema, view, is_alias=list(mappings) != [name])

    def _foreign_schema(self, name: str, mappings: Mapping[str, JSON], foreign: ForeignFields | None) -> IndexSchema:
        """The schema of an index that is not ours, and of one that changes its encoder also those of the others."""
        metas = {index: found.get("_meta", {}) for index, found in mappings.items()}
        joined = join_added(name, {index: Backfilled.all_from_meta(meta) for index, meta in metas.items()})
        added, others = (joined[0] if joined else None), joined[1:]

        def build(used: Backfilled | None, beside: Sequence[Backfilled]) -> IndexSchema:
            read = self._dialect.read_vector_field
            return build_foreign_schema(name, list(mappings.values()), foreign, read, used, beside)

        schema = build(added, others)
        if added is None or (foreign and foreign.vector):
            return schema
        rest = {backfill.names: [added, *(other for other in others if other != backfill)] for backfill in others}
        return replace(schema, alternatives=tuple(build(backfill, rest[backfill.names]) for backfill in others))

    async def open_vectors(self, name: str) -> tuple[RestIndex, Origin] | None:
        """An index of vectors beside another, and what it says of that one; None where there is none of that name.

        Raises SettingsError for an index of that name that is none."""
        path, params = index_path(name, "_mapping"), {"ignore_unavailable": "true"}
        reply = await self._client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
        if not reply:
            return None
        found = read_origin(next(iter(reply.values()))["mappings"].get("_meta", {}))
        if found is None:
            raise SettingsError(f"the index {name!r} holds no vectors of another one; choose another name")
        origin, schema = found
        return self._index(name, schema), origin

    async def drop_index(self, name: str) -> None:
        try:
            await self._client.request("DELETE", index_path(name), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            raise await self._missing(name, error) from error

    async def count(self, name: str) -> int:
        reply = await self._named(name, "_count")
        return int(reply["count"])

    async def close(self) -> None:
        await self._client.close()

    def _index(self, name: str, schema: IndexSchema, view: View = View(), *, is_alias: bool = False) -> RestIndex:
        return RestIndex(
            name,
            schema,
            self._client,
            self._dialect,
            view=view,
            place=WritePlace(self._client, name, is_alias=is_alias),
            form=vector_form(self.engine, element_of(schema)),
            max_chunk_bytes=self._max_chunk_bytes,
            timeout_s=self._timeout_s,
        )

    async def _beside(self, name: str, mappings: JSON, foreign: ForeignFields | None) -> BesideIndex | None:
        """An index that is not ours, with the one of ours that has its vectors; None where there is none.

        One that goes by the usual name counts only if it says that it belongs to the other. Raises SettingsError, and
        IndexMissing for one that is named and not there."""
        ((concrete, mapping),) = mappings.items()
        meta = mapping.get("_meta", {})
        if found := read_origin(meta):
            raise SettingsError(f"{name!r} holds the vectors of the index {found[0].index!r}; search that: index.name")
        named = foreign.beside if foreign else None
        if "connector" in meta or (named is None and (META_KEY in meta or (foreign and foreign.vector))):
            return None
        try:
            opened = await self.open_vectors(named or vectors_name(concrete))
        except (AccessDenied, SettingsError):
            if named:
                raise
            return None
        if opened is None and named:
            raise IndexMissing(named, self._url, None)
        if opened is None or not (named or opened[1].index == concrete):
            return None
        vectors, origin = opened
        text = foreign.text if foreign and foreign.text else vectors.schema.fields.text
        given = ForeignFields(text, foreign.vector if foreign else None)
        schema = build_foreign_schema(name, [mapping], given, self._dialect.read_vector_field)
        theirs = self._index(name, schema, await self._view(name, [concrete]))
        index = BesideIndex(theirs, vectors, origin, read_uuid=partial(self.read_uuid, name))
        await index.identify(timeout_s=ADMIN_TIMEOUT_S)
        return index

    async def read_uuid(self, index: str, timeout_s: float = ADMIN_TIMEOUT_S) -> str:
        """What tells an index from another of its name; empty where these credentials may not see it, and where the
        name stands for several."""
        return await read_uuid(self._client, index, timeout_s)

    async def _view(self, name: str, names: list[str]) -> View:
        """What of the indices behind a name can be seen under it."""
        if names == [name]:
            return View()
        if stands_for_several(name, []) or any(BACKING in index for index in names):
            return View(whole=False)
        try:
            action = f"_alias/{quote(name, safe='')}"
            reply = await self._client.request("GET", index_path(name, action), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError:  # such as one that may not see aliases: hidden_hits fills up what is missing
            return View(whole=False)
        aliases: dict[str, JSON] = {index: reply.get(index, {}).get("aliases", {}).get(name, {}) for index in names}
        narrowed = any({"filter", "search_routing", "index_routing"} & set(alias) for alias in aliases.values())
        return View(_shown_by(aliases), whole=len(names) == 1 and not narrowed)

    async def _named(self, name: str, action: str, params: dict[str, str] | None = None) -> JSON:
        """The reply to a question about the index or indices of that name. Raises IndexMissing."""
        path = search_path(name, action)
        try:
            return await self._client.request("GET", path, params=params, timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            raise await self._missing(name, error) from error

    async def _missing(self, name: str, error: ClusterError) -> ClusterError | IndexMissing:
        """What to raise for an error about an index: that there is none of that name, with one that may be meant."""
        if error.status != 404:
            return error
        return IndexMissing(name, self._url, nearest_name(name, await self._names()))

    async def _names(self) -> list[str]:
        """The names of all indices, aliases and data streams that these credentials may see, without the hidden
        ones."""
        try:
            reply = await self._client.request("GET", "/_resolve/index/*", timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError:
            return []  # it would have been a hint, no more
        found = (entry["name"] for kind in ("indices", "aliases", "data_streams") for entry in reply.get(kind, ()))
        return [name for name in found if not name.startswith(".")]


def _of_members(schema: IndexSchema, members: Members) -> IndexSchema:
    """The schema, and those beside it, for a name that stands for several indices."""
    beside = tuple(_of_members(alternative, members) for alternative in schema.alternatives)
    return replace(schema, layout=replace(schema.layout, members=members), alternatives=beside)


def _shown_by(aliases: dict[str, JSON]) -> JSON | None:
    """The query for what an alias shows of each of its indices; None where it shows all of them."""
    if len(aliases) == 1 or not any(alias.get("filter") for alias in aliases.values()):
        return next((alias.get("filter") for alias in aliases.values()), None)
    parts = []
    for index, alias in aliases.items():
        own: JSON = {"term": {"_index": index}}
        parts.append({"bool": {"filter": [own, alias["filter"]]}} if alias.get("filter") else own)
    return {"bool": {"should": parts, "minimum_should_match": 1}}
