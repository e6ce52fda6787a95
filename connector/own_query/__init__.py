"""What an application's own engine query says: the text it searches for, and what it lets through. It is only read."""
