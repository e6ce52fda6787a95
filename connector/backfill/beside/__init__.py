"""Vectors in an index of our own, beside somebody's that is only read."""
