"""Judgments as other programs keep them: read into grades, and written out of the ones that count."""
