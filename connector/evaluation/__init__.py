"""Queries and judgments -> runs -> measures."""
