"""The page on which people judge: who gets which pair, what is shown of it, and who may send grades."""
