"""What is asked of an index before anything is written to it, and what a back-fill of it would be."""
