"""Settings of the auth service."""

from pydantic import Field, model_validator

from shared.config import DatabaseSettings

SHORTEST_KEY = 32  # characters, outside the embedded stack


class Settings(DatabaseSettings):
    jwt_key: str = Field(
        min_length=1, repr=False, description="random secret that the signing key is made of"
    )
    jwt_key_previous: str = Field(
        "", repr=False, description="the JWT_KEY before this one; what it signed stays good"
    )
    smtp_url: str = Field(
        "",
        pattern=r"^$|^smtps?://",
        repr=False,
        description="mail server, such as smtps://user:password@mail.example.com",
    )
    mail_from: str = Field(
        "Ticketing <ticketing@localhost.localdomain>", description="who mails come from"
    )
    mail_dir: str = Field("", description="folder for mails instead of a server (development)")
    redis_url: str = Field(description="Redis that counts attempts, such as redis://redis:6379/0")

    @model_validator(mode="after")
    def _only_embedded_has_a_short_key(self) -> "Settings":
        if not self.embedded and len(self.jwt_key.encode()) < SHORTEST_KEY:
            raise ValueError(f"JWT_KEY must have at least {SHORTEST_KEY} random bytes")
        return self
