"""Where documents come from: files of rows, folders of files, streams. A source yields rows."""

from connector.ingest.sources.opening import open_source
from connector.ingest.sources.row import Row, Source

__all__ = ["Row", "Source", "open_source"]
