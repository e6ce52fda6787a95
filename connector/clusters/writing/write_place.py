"""Where an index of ours is written to: by an alias that goes with it.

Of a write to an index that is not there the engines make one, with a mapping of their own finding. A write that
requires an alias they refuse where its name is none. So an index is written to by a hidden alias, which goes with it,
also in the middle of a request; and its name is of this index alone, so that another one of the same name is not
written to either. An alias that the user names does the first as it is, and may be given to another index meanwhile.

Where the credentials may make no alias, the index is looked at before each request. What happens in the milliseconds
between is left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256

from connector.clusters.clients import Client
from connector.clusters.paths import index_path
from connector.errors import AccessDenied, ClusterError, IndexGone

TIMEOUT_S = 60.0
NOWHERE = (400, 404)  # what a name says that stands for no index, or for several


def write_alias(index: str, uuid: str) -> str:
    """By which the index of that name and uuid is written to."""
    return f"{index}-writes-{sha256(uuid.encode()).hexdigest()[:8]}"


def is_write_alias(index: str, alias: str) -> bool:
    """Whether an alias of an index is there for its writes alone."""
    return re.fullmatch(rf"{re.escape(index)}-writes-[0-9a-f]{{8}}", alias) is not None


async def read_uuid(client: Client, index: str, timeout_s: float) -> str:
    """What tells an index from another of its name; empty where these credentials may not see it, and where the name
    stands for several."""
    path, params = index_path(index, "_settings/index.uuid"), {"flat_settings": "true"}
    try:
        reply = await client.request("GET", path, params=params, timeout_s=timeout_s)
    except AccessDenied:
        return ""
    found = [str(entry["settings"].get("index.uuid", "")) for entry in reply.values()]
    return found[0] if len(found) == 1 else ""


async def explain_gone(error: BaseException, check: Callable[[], Awaitable[None]]) -> BaseException:
    """IndexGone, where `check` raises that and it is what the engine meant by the error; else the error."""
    if isinstance(error, ClusterError) and error.status in NOWHERE:
        try:
            await check()
        except IndexGone as gone:
            return gone
        except ClusterError:
            pass
    return error


class WritePlace:
    """The name that bulk requests are sent to, and their parameters, from `begin` on.

    `is_alias`: the index goes by an alias of the user's, who may let it stand for another one."""

    def __init__(self, client: Client, index: str, *, is_alias: bool = False) -> None:
        self._client, self._index, self._is_alias = client, index, is_alias
        self._beginning = asyncio.Lock()
        self._uuid = ""  # until it begins, and where these credentials may not see it: nothing is compared
        self._name = index if is_alias else ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def params(self) -> Mapping[str, str]:
        return {"require_alias": "true"} if self._is_alias or self._name != self._index else {}

    async def begin(self) -> None:
        """Once the index is there, and before anything is sent. Again, it does nothing. Raises IndexGone."""
        async with self._beginning:
            if not self._name:
                self._uuid = await self._read_uuid()
                await self._open()

    async def check(self) -> None:
        """Before each request: nothing, where the request itself can only meet the right index. Raises IndexGone."""
        if not self.params:
            await self.confirm()

    async def confirm(self) -> None:
        """Nothing, where it is the index still that was begun with. Raises IndexGone."""
        now = await self._read_uuid()
        if self._uuid and now != self._uuid:
            raise IndexGone.while_filled(self._index)

    async def begin_again(self, error: ClusterError) -> None:
        """After a request that was refused: nothing, where it can be sent once more. Raises IndexGone, else the
        error."""
        async with self._beginning:
            if self._is_alias:
                raise IndexGone.while_filled(self._index) if error.status == 404 else error
            if error.status in NOWHERE:
                await self.confirm()
                await self._open(is_again=True)  # somebody took the alias away, or restored it with another index
            elif isinstance(error, AccessDenied) and self.params:
                self._name = self._index  # they may make aliases, and not write to them
            else:
                raise error

    async def explain(self, error: BaseException) -> BaseException:
        """What ended a job: that the index is gone, where that is behind what the engine said; else the error."""
        return await explain_gone(error, self.confirm)

    async def end(self) -> None:
        """Take the alias out, once nothing more is sent: of an index that is an application's from then on."""
        if self._name not in ("", self._index):
            with suppress(ClusterError):  # it may be gone
                path = index_path(self._index, f"_alias/{self._name}")
                await self._client.request("DELETE", path, timeout_s=TIMEOUT_S)

    async def _open(self, *, is_again: bool = False) -> None:
        alias = write_alias(self._index, self._uuid)
        remove = {"remove": {"index": "*", "alias": alias, "must_exist": False}}
        add = {"add": {"index": self._index, "alias": alias, "is_hidden": True}}
        body = {"actions": [remove, add] if is_again else [add]}
        try:
            await self._client.request("POST", "/_aliases", body=body, timeout_s=TIMEOUT_S)
            self._name = alias
        except ClusterError as error:
            if error.status == 404:
                raise IndexGone.while_filled(self._index) from error
            if not isinstance(error, AccessDenied) and error.status != 400:  # 400: the name is too long for an alias
                raise
            self._name = self._index

    async def _read_uuid(self) -> str:
        try:
            uuid = await read_uuid(self._client, self._index, TIMEOUT_S)
            if not uuid:  # that it is there may be seen all the same
                await self._client.request("GET", index_path(self._index, "_mapping"), timeout_s=TIMEOUT_S)
            return uuid
        except AccessDenied:
            return ""
        except ClusterError as error:
            if error.status != 404:
                raise
            raise IndexGone.while_filled(self._index) from error
