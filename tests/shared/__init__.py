"""What all services share, on real servers where a server is involved."""
