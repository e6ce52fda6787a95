"""What passes through, byte for byte: the caller's connection, the checks, the way to the engine and back."""
