"""The addresses of the worker: rerank, embed, and what it says of itself."""
