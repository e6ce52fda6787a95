"""What finds documents: a file for each kind of leg, and how all of them are asked at once."""
