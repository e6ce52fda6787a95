"""Two pipelines against each other on a list of queries: read, run, compared, measured, shown."""
