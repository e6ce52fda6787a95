"""The command line: parse, call, print; and how a job is begun, shown while it runs, and ended."""
