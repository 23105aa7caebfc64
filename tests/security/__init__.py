"""Attacks on a running system, each named by what the attacker wants, and each without success."""
