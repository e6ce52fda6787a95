"""What the repository holds, for tests that look at all of it: code, pages, the package."""
