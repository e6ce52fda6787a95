"""How the tests are run: shared among processes, on which engines, how hard, and what they wait for."""
