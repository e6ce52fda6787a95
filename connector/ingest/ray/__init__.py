"""An ingest job on several processes or machines, by Ray Data: shards are read, encoded by actors, and written."""
