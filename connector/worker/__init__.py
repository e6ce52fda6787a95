"""The rerank worker: its own process over HTTP, so that a model can never stall what calls it."""
