"""Query -> hits: two legs in parallel, fusion, a window to the reranker, hits that explain themselves."""
