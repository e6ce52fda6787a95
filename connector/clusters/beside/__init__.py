"""Vectors in an index of ours beside somebody else's: both searched as one, and how far ours is behind."""
