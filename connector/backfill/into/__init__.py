"""A new index with vectors, which takes the place of somebody's."""
