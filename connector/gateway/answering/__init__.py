"""The reply to a recognised search, in the engine's shape: its page, what is said of it, several at once."""
