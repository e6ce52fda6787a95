"""Passages and vectors kept right while an application goes on writing: round after round of what was written since."""
