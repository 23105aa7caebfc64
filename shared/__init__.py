"""What all services have in common: events, storage, identity and the web. No business rules."""
