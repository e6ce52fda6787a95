"""Queries and judgments -> runs -> measures -> reports and verdicts.

`evaluate` asks the queries of `files` through `pipelines`, and takes the measures of `statistics`; `report` says what
came of it, and `gate` holds it against what came of it before."""
