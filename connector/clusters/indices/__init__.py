"""What an index is to an engine: its mapping, how it has vectors, and what somebody else's is to a search."""
