"""What the commands say beside their output: on stderr, so that stdout can be piped."""

from rich.console import Console

talk = Console(stderr=True)
