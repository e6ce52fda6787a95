"""What places the best of an order anew: stages, one after the other, each on what the one before it left."""
