"""What the page does unless asked otherwise; importing this costs nothing."""

from __future__ import annotations

HOST = "127.0.0.1"  # this machine alone
PORT = 8650
OVERLAP = 0.1  # of the pairs, which two people judge
HOLD_S = 900.0  # after which a pair that somebody looks at is given to others too
WINDOW = 20  # of the next pairs, out of which each rater's own shuffle chooses
