"""Clicks of users -> how attractive documents are for queries, freed of where they stood."""
