"""Measurements that are run by hand; each says what it found."""
