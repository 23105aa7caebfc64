"""Somebody who is signed in, as all layers know them; without the web, which workers do without."""

from dataclasses import dataclass
from datetime import datetime

ADMIN = "admin"  # the role of those who look after the installation


@dataclass(frozen=True)
class User:
    """A signed-in person, as their token tells."""

    id: str
    email: str
    session_id: str
    issued_at: datetime
    expires_at: datetime
    verified: bool = False
    role: str = "user"
    # What an API token is good for; None for a person who signed in, who may do everything.
    scopes: frozenset[str] | None = None

    # What flask-login asks of a user.
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        return self.id
