"""The embedded stack: every server and every service on one machine, by one command."""

from dev.stack.client import Stack

__all__ = ["Stack"]
