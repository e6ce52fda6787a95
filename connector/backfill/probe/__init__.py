"""What of an index tells whether passages and vectors can be added to it where it is: a rule for each reason."""
