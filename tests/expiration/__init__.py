"""Tests of the expiration service."""
