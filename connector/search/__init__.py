"""Query -> hits: its legs in parallel, their fusion, a window to the reranker, hits that explain themselves."""
