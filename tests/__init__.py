"""All tests, by part of the system."""
