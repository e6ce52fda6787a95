"""Measures of runs, how sure they are, and how long searches took."""
