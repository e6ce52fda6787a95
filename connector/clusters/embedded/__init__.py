"""The embedded store: LanceDB in a folder. Text, vectors and filters in one durable place, for laptops, demos and
tests."""
