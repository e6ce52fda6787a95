"""A language model as a judge: what it is asked, what it costs, what it answered."""
