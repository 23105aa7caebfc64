"""Settings of the tickets service."""

from shared.config import DatabaseSettings


class Settings(DatabaseSettings):
    """Nothing beyond what every service with a database is told."""
