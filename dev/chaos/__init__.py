"""The fault test: people buy and sell while parts of the system are killed, frozen and cut off."""
