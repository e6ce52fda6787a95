"""Judged queries -> the settings of a search that are worth having, and how sure that is."""
