"""Where documents live: Elasticsearch, OpenSearch and the embedded store behind one protocol.

`connect` opens a cluster, `protocol` says what each can do. The two engines share one code path (`rest`, `rest_index`)
and most of its JSON (`dialect`, filters among it); what each alone speaks is in `elasticsearch` and `opensearch`, and
the official client of each beside it. Searches are in `reading`, writes in `writing`, mappings in `indices`, and an
index of vectors beside somebody else's in `beside`."""
