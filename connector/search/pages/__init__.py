"""Pages that hold still: one order, frozen at the first page, and a signed cursor that carries what is left of it."""
