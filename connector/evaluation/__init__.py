"""Queries and judgments -> runs -> measures -> reports and verdicts.

`evaluate` sends the queries of a collection (`files`) through `pipelines`, and measures what they give (`statistics`).
`report` says how good that was, and `gate` compares it with an earlier evaluation."""
