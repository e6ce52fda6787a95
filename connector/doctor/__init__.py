"""The check-up behind `connector doctor`: every part that a search needs, looked at one by one."""
