"""Writes as the engines take them: bulk requests, what became of each document, and what an engine refuses."""
