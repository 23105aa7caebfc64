"""The edges that ticket shops get wrong, each by its name, on the whole system."""
