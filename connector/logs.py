"""Where log lines go and what they look like."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from connector.settings.sections import LogSettings

QUIET = ("elastic_transport", "opensearch")  # they warn of each failure that we tell of, and try again, ourselves


def configure_logging(settings: LogSettings, *, bar: bool = False) -> None:
    """Send this process's log to stderr: text for people, or one JSON object a line. Beside a bar, which lines would
    tear, only warnings, unless the level is debug.

    Facts that a record carries (`extra`) are members of the object."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format == "json":
        names = {"levelname": "level", "name": "logger"}
        kept = "%(levelname)s %(name)s %(message)s"
        handler.setFormatter(JsonFormatter(kept, rename_fields=names, timestamp=True))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    level = "warning" if bar and settings.level == "info" else settings.level
    logging.getLogger("connector").setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def log_as_json(message: object, *, exc_info: BaseException | None = None, **facts: object) -> bool:
    """Log an error if the log is JSON, which nothing else may come between; whether it is. `exc_info` goes along with
    its traceback."""
    is_json = any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)
    if is_json:
        logging.getLogger("connector").error("%s", message, exc_info=exc_info, extra=facts)
    return is_json
