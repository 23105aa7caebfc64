"""Settings of the expiration service."""

from pydantic import Field

from shared.config import Settings as Common


class Settings(Common):
    redis_url: str = Field(description="Redis that keeps the alarms, such as redis://redis:6379/0")
