"""The page at /ui: one search seen from all sides, for people who choose settings or show what they do."""
