"""The command line, as an operator uses it: in a process of its own."""
