"""The promises of the system, checked through the gateway of a real stack."""
