"""The worker, registered with the engine: a plain `_search` is then answered hybrid and reranked inside it."""
