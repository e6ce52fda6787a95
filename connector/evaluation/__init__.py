"""Queries and judgments -> runs -> measures -> reports and verdicts."""
