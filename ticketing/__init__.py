"""The `ticketing` command: runs the processes of the services, and tools for operators."""
