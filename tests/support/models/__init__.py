"""Models small enough to be made for a test, and encoders that remember."""
