"""Passages and vectors for an index that somebody else made, and that lives on.

It is looked at first (`planning`, and the rules of `probe`), then filled where it is (`in_place`), beside itself
(`beside`) or into a new one that takes its place (`into`), at the pace that its engine bears (`pace`), and kept up with
what applications write (`keeping_up`). `run` and `elsewhere` begin these jobs; `undo` takes all of it out again. What
is in no folder they share: how documents are found (`scan`), encoded (`encoding`) and written (`write`), and what is
counted (`report`)."""
