"""Logs -> the queries that are worth judging: folded, without personal data, a sample of head, torso and tail."""
