"""Passages and vectors for an index that somebody else made, and that lives on."""
