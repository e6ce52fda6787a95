"""What an evaluation found, for programs and for people: figures, a page with plots, a folder."""
