"""How far judges agree with each other, and on the order of pipelines."""
