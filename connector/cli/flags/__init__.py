"""Flags, and what they come to: those that several commands share, and in a file of its name those of a command that
has many. All others stand in the command's own file."""
