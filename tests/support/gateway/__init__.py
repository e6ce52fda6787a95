"""Gateways in a test's own process, and their callers."""
