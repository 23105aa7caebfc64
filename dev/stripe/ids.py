"""Ids in Stripe's manner: a prefix that tells the kind, and what nobody can guess."""

import secrets


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
