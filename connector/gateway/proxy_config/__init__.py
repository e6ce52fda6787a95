"""Configurations of other proxies, which send only what the gateway answers to it, and all else to the cluster."""
