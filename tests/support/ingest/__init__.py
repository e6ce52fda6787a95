"""Jobs of ingest in a test, and what they read."""
