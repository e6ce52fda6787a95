"""What a caller asks for: which requests are searches, what of them is recognised, and what is wished."""
