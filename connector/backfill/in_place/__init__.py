"""The back-fill of an index where it is, while applications go on writing to it."""
