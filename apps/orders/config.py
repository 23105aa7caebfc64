"""Settings of the orders service."""

from pydantic import Field

from shared.config import DatabaseSettings


class Settings(DatabaseSettings):
    block_size: int = Field(
        100, ge=1, le=100, description="units of a ticket that share one document, one atomic write"
    )
    most_open_orders: int = Field(
        5, ge=1, le=1_000, description="unpaid orders of one person for one ticket"
    )
