"""A recognised search, asked as its caller -> the order of its window: indexes, legs, and what is remembered."""
