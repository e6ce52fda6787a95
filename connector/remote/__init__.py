"""A worker from its callers' side: its replies, its encoder, and a worker as a child process."""
