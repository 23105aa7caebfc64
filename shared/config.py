"""Settings from the environment, checked at start so that a wrong one stops the process."""

import os
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)

# Where containers have secrets as files: jwt_key for JWT_KEY. The environment goes before a file.
SECRETS = "/run/secrets"


class Settings(BaseSettings):
    """What every process of the system can be told. Each field is the variable in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    embedded: bool = Field(False, description="1 in the embedded development stack only")
    host: str = Field("127.0.0.1", description="address the web server listens on")
    port: int = Field(3000, description="port of the web server, behind the gateway")
    ops_host: str = Field("127.0.0.1", description="address of health and metrics")
    ops_port: int = Field(9000, description="port of health and metrics, never routed")
    nats_url: str = Field(description="NATS server, such as nats://nats:4222")
    nats_replicas: int = Field(1, ge=1, le=5, description="copies of each stream: 3 in a cluster")
    secret_key: str = Field(min_length=16, description="signs cursors and notices; one for all")
    auth_url: str = Field(description="internal address of auth, such as http://auth:3000")
    public_url: str = Field(description="what people type, such as https://tickets.example.com")
    state_dir: str = Field("/tmp", description="folder for small local state (auth's keys)")  # noqa: S108 - a default that exists in every container
    hold_seconds: int = Field(900, ge=1, le=86_400, description="how long a reservation holds")
    rate_limits: bool = Field(True, description="0 turns rate limits off (embedded only)")
    verify_email: bool = Field(True, description="0 skips e-mail checks (embedded only)")
    threads: int = Field(32, ge=1, le=256, description="blocking threads of the web server")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="how logs are written")

    @model_validator(mode="after")
    def _only_embedded_is_lax(self) -> "Settings":
        if not self.embedded and not (self.rate_limits and self.verify_email):
            raise ValueError("RATE_LIMITS=0 and VERIFY_EMAIL=0 are for the embedded stack only")
        return self

    @property
    def secure(self) -> bool:
        """Whether people reach the system under TLS, so that cookies must be Secure."""
        return self.public_url.startswith("https://")


class MongoSettings(BaseSettings):
    """Where a service's database is: all that a backup is told."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    mongo_uri: str = Field(description="the service's own MongoDB, such as mongodb://orders-db")
    mongo_db: str = Field("", description="database name; the service's name when empty")


class DatabaseSettings(Settings, MongoSettings):
    """Settings of a service that has a database of its own."""


def load(settings: type[S]) -> S:
    """Read the settings or end the process with the names of what is wrong or missing."""
    folder = os.environ.get("SECRETS_DIR", SECRETS)
    try:
        return settings(_secrets_dir=folder if Path(folder).is_dir() else None)  # pyright: ignore[reportCallIssue] - the values come from the environment
    except ValidationError as error:
        for line in explain(error, settings):
            sys.stderr.write(line + "\n")
        raise SystemExit(2) from None


def explain(error: ValidationError, settings: type[BaseSettings]) -> list[str]:
    """One line for each setting that is wrong: its name, the reason, and what it is for."""
    lines: list[str] = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        field = settings.model_fields.get(name)
        about = f" ({field.description})" if field and field.description else ""
        lines.append(f"setting {name.upper() or '-'}: {problem['msg']}{about}")
    return lines
