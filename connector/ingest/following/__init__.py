"""Sources that go on: a source is read as a whole, and then its changes are written within seconds."""
