"""What people would use instead, each as its users write it: one file, whose lines are counted, runs in an environment
of its own."""
