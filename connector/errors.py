"""One tree of errors. Each says what went wrong and what to do next.

ConnectorError
├── SettingsError          a setting, flag or mapping that cannot be used
├── PluginError            another package's plug-in that cannot be loaded, or does not do what its kind does
├── CredentialsError       credentials that cannot be used: malformed, or given to a store that knows no users
├── QueryError             a query that nothing can be searched with
├── CursorError            a cursor that no page can be read with
│   ├── CursorForged           it is none of ours: changed, cut off, or signed with another key
│   ├── CursorExpired          its time is over
│   └── CursorMismatch         it belongs to another search, or another index
├── FilterError            a filter that the index cannot answer
├── SourceError            a source that cannot be read at all
├── DocumentError          one document that cannot be indexed; it is counted and kept, the job goes on
├── DiskError              a file that a job needs cannot be written; the job stops
├── ModelError             a model that cannot be loaded or used
├── MissingExtra           a package that this use needs is not installed; an extra of the connector brings it
├── ClusterError           the cluster refused, failed or could not be reached
│   ├── ClusterUnavailable     no connection, time-out, 429 or 503: the same request may work later
│   │   └── IndexBlocked           a block bars the index or the cluster, as the engine sets one where the disk is full
│   ├── AccessDenied           401 or 403: the credentials are not accepted, or lack a privilege
│   ├── TlsError               no TLS connection that can be trusted
│   ├── IndexMissing           no such index
│   ├── IndexGone              the index that was written to was deleted or made anew meanwhile
│   ├── ViewLost               the store no longer has the state of the index that a cursor reads
│   └── IndexExists            an index of that name is there already
├── RayUnavailable         no Ray cluster could be reached or started
├── EncoderMismatch        the index was written with another encoder than the configured one
├── WorkerError            the rerank worker refused, or answered what cannot be right
│   └── WorkerUnavailable      no connection, time-out, 429 or 5xx: the same request may work later
├── EndpointError          the endpoint of a language model refused, or answered what cannot be right
│   └── EndpointUnavailable    no connection, time-out, 429 or 5xx: the same request may work later
├── CircuitOpen            a part that kept failing is left alone for a while
├── SearchFailed           no leg answered in time
└── UsageError             the library is used in a way that cannot work: in another event loop, or process
    └── ConnectorClosed        it was closed before
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Base of every error that a user can act on."""


class SettingsError(ConnectorError):
    """A setting, flag or mapping that cannot be used."""


class PluginError(ConnectorError):
    """A plug-in of another package that cannot be loaded, or that does not do what its kind does."""


class CredentialsError(ConnectorError):
    """Credentials that cannot be used: malformed, or given to a store that knows no users."""


class QueryError(ConnectorError):
    """A query that nothing can be searched with."""


class CursorError(ConnectorError):
    """A cursor that no page can be read with; search again without it."""


class CursorForged(CursorError):
    """The cursor was changed or cut off, or signed with another key."""

    def __init__(self) -> None:
        super().__init__(
            "the cursor is none that was given out here: it was changed or cut off, or signed with another key; give "
            "it back as it came, and where several processes serve an application's pages, set search.cursor_key "
            "to the same secret for all of them"
        )


class CursorExpired(CursorError):
    """The cursor's time is over; `keep_s` is how long one can be used."""

    def __init__(self, keep_s: int) -> None:
        super().__init__(
            f"the cursor is older than {keep_s} s, and what it reads may be gone; search again from the first page "
            "(search.cursor_s sets how long a cursor can be used)"
        )
        self.keep_s = keep_s


class CursorMismatch(CursorError):
    """The cursor belongs to another search, by this `difference`."""

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"the cursor belongs to another search: {difference}; give it together with what the first page was "
            "asked for, or leave it out to begin a new search"
        )
        self.difference = difference


class FilterError(ConnectorError):
    """A filter that the index cannot answer."""


class SourceError(ConnectorError):
    """A source that cannot be read at all."""


class DocumentError(ConnectorError):
    """One document that cannot be indexed; the job goes on without it and keeps its reason."""


class DiskError(ConnectorError):
    """A file that a job needs cannot be written; nothing may be lost, so the job stops."""


class ModelError(ConnectorError):
    """A model that cannot be loaded or used."""


class MissingExtra(ConnectorError):
    """A package that this use needs is not installed; `extra` of the connector brings it."""

    def __init__(self, extra: str, package: str, feature: str) -> None:
        super().__init__(
            f"{feature} needs the package {package}, which is not installed; "
            f"install it with: pip install 'hybrid-search-connector[{extra}]'"
        )
        self.extra = extra
        self.package = package


class ClusterError(ConnectorError):
    """The cluster refused or failed; `status` is its HTTP status, None where it never answered."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ClusterUnavailable(ClusterError):
    """No connection, a time-out, 429 or 503: the same request may work later.

    `retry_after_s` is what the reply asked for."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class IndexBlocked(ClusterUnavailable):
    """A block bars the index, or the whole cluster: somebody set it, or the engine, since the disk is full."""


class AccessDenied(ClusterError):
    """401 or 403: the credentials are wrong or lack a privilege."""


class TlsError(ClusterError):
    """No TLS connection that can be trusted: the CA, the host name, or no TLS there at all."""


class IndexMissing(ClusterError):
    """There is no such index; `near` is the name of one that is there and may be meant."""

    def __init__(self, index: str, where: str, near: str | None = None) -> None:
        what_to_do = f"did you mean {near!r}?" if near else f"create it with: connector index create --index {index}"
        super().__init__(f"no index {index!r} at {where}; {what_to_do}", status=404)
        self.index = index
        self.near = near


class IndexGone(ClusterError):
    """The index that was written to is not there any more, or another has its name."""

    @classmethod
    def while_filled(cls, index: str) -> IndexGone:
        """Of an index that a job fills."""
        return cls(
            f"index {index!r} was deleted or made anew while it was in use, and what was written to it went with it; "
            "run this again",
            status=404,
        )


class ViewLost(ClusterError):
    """The store no longer has that state of the index: its time is over, or a node went away."""

    def __init__(self, index: str, reason: str) -> None:
        super().__init__(
            f"the state of index {index!r} that these pages read is gone ({reason}); search again from the first page",
            status=404,
        )
        self.index = index


class IndexExists(ClusterError):
    """An index of that name is there already, perhaps since a moment ago."""

    def __init__(self, index: str) -> None:
        super().__init__(
            f"index {index!r} exists already; ingest into it as it is (connector ingest SOURCE --index {index}), "
            "or choose another name",
            status=400,
        )
        self.index = index


class RayUnavailable(ConnectorError):
    """No Ray cluster could be reached or started."""


class EncoderMismatch(ConnectorError):
    """The index was written with another encoder than the configured one."""

    def __init__(self, index: str, *, index_encoder: str, configured: str, backfilled: bool = False) -> None:
        other = (
            f"connector migrate {index} --encoder NAME" if backfilled else "connector ingest SOURCE --index NEW_NAME"
        )
        instead = "change the index's encoder" if backfilled else "write a new index"
        super().__init__(
            f"index {index!r} holds vectors of {index_encoder}, but the configured encoder is {configured}; "
            f"set encoder.model to the index's encoder, or {instead}: {other}"
        )
        self.index_encoder = index_encoder
        self.configured = configured


class WorkerError(ConnectorError):
    """The rerank worker refused (`status` is its HTTP status), or answered what cannot be right."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WorkerUnavailable(WorkerError):
    """No connection, a time-out, 429 or 5xx: the same request may work later.

    `retry_after_s` is what the reply asked for."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class EndpointError(ConnectorError):
    """The endpoint of a language model refused (`status` is its HTTP status), or answered what cannot be right."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class EndpointUnavailable(EndpointError):
    """No connection, a time-out, 429 or 5xx: the same request may work later.

    `retry_after_s` is what the reply asked for."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class CircuitOpen(ConnectorError):
    """The encoder or the worker failed several times in a row, so it is not asked for a while."""


class SearchFailed(ConnectorError):
    """No leg answered in time; `reasons` maps each leg to what went wrong."""

    def __init__(self, reasons: dict[str, str]) -> None:
        listed = "; ".join(f"{leg}: {reason}" for leg, reason in reasons.items())
        super().__init__(f"no leg answered ({listed})")
        self.reasons = reasons


class UsageError(ConnectorError):
    """The library is used in a way that cannot work: in another event loop or process than it was opened in."""


class ConnectorClosed(UsageError):
    """The connector was closed before this call; open another one."""


def first_of(errors: BaseExceptionGroup) -> BaseException:
    """The first error of what tasks side by side ended with."""
    inner = errors.exceptions[0]
    return first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner
