"""Where documents live: Elasticsearch, OpenSearch and the embedded store behind one protocol."""
