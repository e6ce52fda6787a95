"""What a user sets: the sections with their defaults, where values come from, what is unwise, a commented file."""
