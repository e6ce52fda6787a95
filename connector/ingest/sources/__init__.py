"""Where documents come from: files of rows, folders of files, streams, tables of PostgreSQL, plug-ins. A source yields
rows; `opening` knows them all."""

from connector.ingest.sources.opening import open_source
from connector.ingest.sources.row import Row, Source

__all__ = ["Row", "Source", "open_source"]
