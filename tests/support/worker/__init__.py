"""A worker's application and its batches, without a worker."""
