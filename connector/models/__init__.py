"""Text -> numbers in this process: encoders and scorers."""
