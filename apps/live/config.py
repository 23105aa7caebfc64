"""Settings of the live service."""

from pydantic import Field

from shared.config import Settings as Common


class Settings(Common):
    most_streams: int = Field(
        5_000, ge=1, le=100_000, description="open pages that one process tells; more get 503"
    )
    most_per_person: int = Field(
        50, ge=1, le=100_000, description="open pages of one person in one process; more get 429"
    )
    most_per_address: int = Field(
        200, ge=1, le=100_000, description="open pages of one address in one process; more get 429"
    )
