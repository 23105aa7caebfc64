"""Settings of the payments service."""

from typing import Literal

from pydantic import Field, model_validator

from shared.config import DatabaseSettings

CardForm = Literal["element", "test"]


class Settings(DatabaseSettings):
    stripe_key: str = Field(description="Stripe's secret key, sk_test_... or sk_live_...")
    stripe_api_base: str = Field("", description="another Stripe than the real one, in development")
    stripe_webhook_secret: str = Field(description="whsec_..., what webhooks are signed with")
    stripe_publishable_key: str = Field("", description="pk_..., for Stripe's card form")

    @model_validator(mode="after")
    def _live_needs_a_card_form(self) -> "Settings":
        live = self.stripe_key.startswith(("sk_live_", "rk_live_"))
        if live and not self.stripe_publishable_key:
            raise ValueError("STRIPE_PUBLISHABLE_KEY is required with a live STRIPE_KEY")
        return self

    @property
    def card_form(self) -> CardForm:
        """Stripe's own form where there is a Stripe behind it; otherwise a choice of test cards."""
        real = not self.stripe_api_base and self.stripe_publishable_key
        return "element" if real else "test"
