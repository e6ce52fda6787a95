"""Evaluations, judged collections and judging folders of a test."""
