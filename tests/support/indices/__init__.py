"""Indices of a test: ours, somebody else's, secured ones, and who fills and writes to them meanwhile."""
