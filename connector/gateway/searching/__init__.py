"""Searches of named indexes, answered in the engine's place: what is recognised, its legs, its pages, its reply."""
