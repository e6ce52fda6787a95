"""What reorders a window of hits: one protocol, and who fulfils it."""
