"""The embedded store: LanceDB in a folder. Text, vectors and filters in one durable place, for laptops, demos and
tests."""

from connector.clusters.embedded.quick_import import quick_import

with quick_import():
    import lancedb  # noqa: F401 - before any other module of this package imports it
