"""The connector's own HTTP API, on a port of its own: searches as JSON, health, numbers, events."""
