"""The fault test: its own parts, and a short run of it."""
