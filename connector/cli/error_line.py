"""An error of ours as a user sees it: one line, and how to see what is behind it."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator

from connector.errors import ClusterError, ConnectorError

# packages whose errors say all that there is in words, which the line has: ours, what calls a worker, what checks
# settings
IN_WORDS = frozenset({"connector", "httpcore", "httpx", "pydantic_core"})


def tell_error(error: ConnectorError) -> None:
    """Say it on stderr, in a line or, where the log is JSON, as an object of the log.

    Where the log level is debug the traceback goes with it, and those of its causes; else, where these say more than
    the line does, a second one says how to see them."""
    from connector.logs import log_as_json

    is_debug = logging.getLogger("connector").isEnabledFor(logging.DEBUG)
    if log_as_json(error, exc_info=error if is_debug else None, error=type(error).__name__):
        return
    if is_debug:
        traceback.print_exception(error)
    print(f"error: {error}", file=sys.stderr)
    if not is_debug and _has_more_behind(error):
        from connector.settings.names import env_name

        print(f"{env_name('log.level')}=debug shows the traceback", file=sys.stderr)


def _has_more_behind(error: ConnectorError) -> bool:
    """Whether another's code raised what became this error. What an engine or a file system says is in the line."""
    if isinstance(error, ClusterError):
        return False
    packages = {type(cause).__module__.partition(".")[0] for cause in _causes(error) if not isinstance(cause, OSError)}
    return not packages <= IN_WORDS


def _causes(error: BaseException) -> Iterator[BaseException]:
    while error.__cause__ is not None:
        error = error.__cause__
        yield error
