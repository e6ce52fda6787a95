"""Where models come from: a folder, a package, what was fetched before, the hub, a Maven repository."""
