"""Settings of the live service."""

from pydantic import Field

from shared.config import Settings as Common


class Settings(Common):
    most_streams: int = Field(
        5_000, ge=1, le=100_000, description="open pages that one process tells; more get 503"
    )
