"""Elasticsearch and OpenSearch: one code path over the official clients; a dialect holds the JSON that differs."""

from __future__ import annotations

from urllib.parse import quote

from connector.clusters.clients import Client
from connector.clusters.dialect import JSON, Dialect
from connector.clusters.foreign import build_foreign_schema
from connector.clusters.mapping import build_index
from connector.clusters.protocol import Engine, ForeignFields, nearest_name
from connector.clusters.rest_index import ADMIN_TIMEOUT_S, RestIndex, View, index_path
from connector.errors import ClusterError, IndexExists, IndexMissing, SettingsError
from connector.schema import IndexSchema

BACKING = ".ds-"  # in the name of each index behind a data stream, also where one was mounted or shrunk


class RestCluster:
    """A connection to Elasticsearch or OpenSearch."""

    def __init__(
        self, client: Client, dialect: Dialect, engine: Engine, *, url: str, max_chunk_bytes: int, timeout_s: float
    ) -> None:
        self.engine = engine
        self._client = client
        self._dialect = dialect
        self._url = url
        self._max_chunk_bytes = max_chunk_bytes
        self._timeout_s = timeout_s

    @property
    def client(self) -> Client:
        """For what the protocol does not ask: see `examination`."""
        return self._client

    @property
    def url(self) -> str:
        return self._url

    async def create_index(self, name: str, schema: IndexSchema) -> RestIndex:
        schema.fields.check_names()
        body = build_index(self._dialect.kind, schema)
        try:
            await self._client.request("PUT", index_path(name), body=body, timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if error.status == 400 and "already exists" in str(error):
                raise IndexExists(name) from error
            raise
        return self._index(name, schema)

    async def open_index(self, name: str, foreign: ForeignFields | None = None) -> RestIndex:
        reply = await self._named(name, "GET", "_mapping")
        names = sorted(reply)
        if len(names) != 1 and not (names and all(BACKING in each for each in names)):
            raise SettingsError(
                f"{name!r} stands for {len(names)} indices ({', '.join(names[:5]) or 'it is empty'}); name one of "
                "them, an "
                "alias of one, or a data stream"
            )
        mappings = [reply[each]["mappings"] for each in names]
        schema = IndexSchema.from_meta(mappings[-1].get("_meta", {}))
        if schema is None:
            schema = build_foreign_schema(name, mappings, foreign, self._dialect.read_vector_field)
        return self._index(name, schema, await self._view(name, names))

    async def drop_index(self, name: str) -> None:
        await self._named(name, "DELETE")

    async def count(self, name: str) -> int:
        reply = await self._named(name, "GET", "_count")
        return int(reply["count"])

    async def close(self) -> None:
        await self._client.close()

    def _index(self, name: str, schema: IndexSchema, view: View = View()) -> RestIndex:
        return RestIndex(
            name,
            schema,
            self._client,
            self._dialect,
            view=view,
            max_chunk_bytes=self._max_chunk_bytes,
            timeout_s=self._timeout_s,
        )

    async def _view(self, name: str, names: list[str]) -> View:
        """What of the indices behind a name can be seen under it."""
        if names == [name]:
            return View()
        if BACKING in names[-1]:
            return View(whole=False)
        try:
            action = f"_alias/{quote(name, safe='')}"
            reply = await self._client.request("GET", index_path(name, action), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError:  # such as one that may not see aliases: hidden_hits fills up what is missing
            return View(whole=False)
        alias: JSON = reply.get(names[0], {}).get("aliases", {}).get(name, {})
        return View(alias.get("filter"), whole=not {"filter", "search_routing", "index_routing"} & set(alias))

    async def _named(self, name: str, method: str, action: str = "") -> JSON:
        try:
            return await self._client.request(method, index_path(name, action), timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError as error:
            if error.status == 404:
                raise IndexMissing(name, self._url, nearest_name(name, await self._names())) from error
            raise

    async def _names(self) -> list[str]:
        """The names of all indices, aliases and data streams that these credentials may see, without the hidden
        ones."""
        try:
            reply = await self._client.request("GET", "/_resolve/index/*", timeout_s=ADMIN_TIMEOUT_S)
        except ClusterError:
            return []  # it would have been a hint, no more
        found = (each["name"] for kind in ("indices", "aliases", "data_streams") for each in reply.get(kind, ()))
        return [name for name in found if not name.startswith(".")]
