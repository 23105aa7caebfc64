"""The common look: base template, error page, styles and scripts, served under each app's path."""

import hashlib
import zlib
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory, url_for
from werkzeug.exceptions import NotFound

from shared import identity
from shared.errors import Unavailable
from shared.fields import to_text
from shared.people import User

STATIC = Path(__file__).parent / "static"
COVERS = 12  # classes cover-0 to cover-11 in app.css


def init_app(app: Flask, prefix: str) -> None:
    """Templates for all pages, and static files under `prefix` with names that never repeat."""
    names = _fingerprint()
    blueprint = Blueprint("ui", __name__, template_folder="templates")

    @blueprint.get(f"{prefix}/static/<name>")
    def static(name: str) -> Response:
        if name not in names:
            raise NotFound
        response = send_from_directory(STATIC, names[name])
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    fingerprinted = {original: name for name, original in names.items()}

    def asset(name: str) -> str:
        return url_for("ui.static", name=fingerprinted[name])

    for template_global in (asset, who, now):
        blueprint.add_app_template_global(template_global)
    for template_filter in (money, moment, iso, cover, sentence):
        blueprint.add_app_template_filter(template_filter)
    app.register_blueprint(blueprint)


def _fingerprint() -> dict[str, str]:
    """Served name -> file: the name holds a digest, so that a cached file is never stale."""
    names: dict[str, str] = {}
    for path in sorted(STATIC.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        names[f"{path.stem}.{digest}{path.suffix}"] = path.name
    return names


# --- in templates ---------------------------------------------------------------------------------


def who() -> User | None:
    """Who reads this page. While nobody can be checked, a page is shown all the same."""
    try:
        return identity.who()
    except Unavailable:
        return None


def now() -> datetime:
    return datetime.now(UTC)


def money(amount: int, currency: str) -> str:
    return to_text(amount, currency)


def moment(time: datetime) -> str:
    """A time as people read it, such as Sat 1 May 2027, 20:00 UTC."""
    return f"{time:%a} {time.day} {time:%b %Y, %H:%M} UTC"


def iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cover(key: str) -> str:
    """The class of a picture that is always the same for the same ticket."""
    return f"cover-{zlib.crc32(key.encode()) % COVERS}"


def sentence(message: str, field: str = "", label: str = "") -> str:
    """An error's message for people: the field's label instead of its name, and a full stop."""
    text = label + message.removeprefix(field) if field and message.startswith(field) else message
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
