"""Runs of pipelines -> the pairs to judge, and which of them comes next."""
