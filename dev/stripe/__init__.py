"""A small, stateful emulator of the part of the Stripe API that the product uses."""
