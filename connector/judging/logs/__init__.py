"""Query logs of every kind -> the texts that were searched for."""
