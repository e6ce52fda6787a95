"""Searches of the engines, and how their replies are read."""
