"""Settings of the payments service."""

from pydantic import Field

from shared.config import DatabaseSettings


class Settings(DatabaseSettings):
    stripe_key: str = Field(description="Stripe's secret key, sk_test_... or sk_live_...")
    stripe_api_base: str = Field("", description="another Stripe than the real one, in development")
    stripe_webhook_secret: str = Field(description="whsec_..., what webhooks are signed with")
    stripe_publishable_key: str = Field("", description="pk_..., for Stripe's card form")
