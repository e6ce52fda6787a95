"""How fast a back-fill writes, and what it does where the cluster does not take it."""
