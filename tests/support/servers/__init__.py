"""Servers on loopback that tests start and end, and a browser: engines, databases, models, hubs, proxies."""
