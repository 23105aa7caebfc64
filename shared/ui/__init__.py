"""The common look: base template, error page, styles and scripts, served under each app's path."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Flask, Response, request
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from shared.fields import ID_PATTERN, to_text
from shared.ui import covers
from shared.ui.frame import iso, now, server_time, visitor_menu, who

STATIC = Path(__file__).parent / "static"
ICONS = Path(__file__).parent / "icons-lucide-1.62.0.svg"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Asset:
    """A static file as it is sent; its name holds a digest, so that it is never stale."""

    name: str
    type: str
    content: bytes
    packed: bytes  # the same by gzip, or nothing where that is no gain


def init_app(app: Flask, prefix: str) -> None:
    """Templates for all pages, and static files under `prefix` with names that never repeat."""
    assets = _assets()
    served = {asset.name: asset for asset in assets.values()}
    blueprint = Blueprint("ui", __name__, template_folder="templates")

    @blueprint.get(f"{prefix}/static/<name>")
    def static(name: str) -> Response:
        if name not in served:
            raise NotFound
        return _send(served[name])

    @blueprint.get(f"{prefix}/covers/<motif>-<key>.svg")
    def picture(motif: str, key: str) -> Response:
        if motif not in covers.MOTIFS or not ID_PATTERN.fullmatch(key):
            raise NotFound
        return _for_ever(Response(covers.draw(key, motif), mimetype="image/svg+xml"))

    # A page names some twenty of them, so the paths are put together here and not looked up.
    paths = {name: f"{prefix}/static/{asset.name}" for name, asset in assets.items()}

    def asset(name: str) -> str:
        return paths[name]

    icons = _icons()

    def icon(name: str) -> Markup:
        return icons[name]

    def cover_url(key: str, title: str) -> str:
        return f"{prefix}/covers/{covers.motif(key, title)}-{key}.svg"

    for template_global in (asset, icon, cover_url, who, now, server_time, visitor_menu):
        blueprint.add_app_template_global(template_global)
    for template_filter in (money, moment, iso, cover, sentence):
        blueprint.add_app_template_filter(template_filter)
    app.register_blueprint(blueprint)


def _assets() -> dict[str, Asset]:
    """Every static file by its own name."""
    assets: dict[str, Asset] = {}
    # Style sheets come last, as they name others.
    for path in sorted(STATIC.iterdir(), key=lambda path: (path.suffix == ".css", path.name)):
        content = path.read_bytes()
        if path.suffix == ".css":
            content = _with_served_names(content, assets)
        elif path.suffix == ".js":
            content = _without_remarks(content)
        digest = hashlib.sha256(content).hexdigest()[:12]
        packed = gzip.compress(content, mtime=0)
        assets[path.name] = Asset(
            name=f"{path.stem}.{digest}{path.suffix}",
            type=_TYPES[path.suffix],
            content=content,
            packed=packed if len(packed) < len(content) * 0.9 else b"",
        )
    return assets


def _icons() -> dict[str, Markup]:
    """Every icon as it stands in a page.

    Drawn in the page itself: one out of another file is copied into the page for each use, which
    is more work before the first paint than the shapes are, and a file more to wait for.
    """
    svg = '<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">{}</svg>'
    symbols = re.findall(
        r'<symbol id="([^"]+)" viewBox="0 0 24 24">(.+)</symbol>', ICONS.read_text()
    )
    return {name: Markup(svg.format(shapes)) for name, shapes in symbols}  # noqa: S704 - a file of ours


def _with_served_names(style: bytes, assets: dict[str, Asset]) -> bytes:
    def served(name: re.Match[str]) -> str:
        return f'url("{assets[name[1]].name}")'

    # Comments are for those who write styles, and a part of what a first visit waits for.
    text = re.sub(r"/\*.*?\*/\s*", "", style.decode(), flags=re.DOTALL)
    return re.sub(r'url\("([^"]+)"\)', served, text).encode()


def _without_remarks(script: bytes) -> bytes:
    """What stands alone on a line goes, so that nothing inside of a text can be meant."""
    return re.sub(rb"^\s*(//.*)?\n|^\s+", b"", script, flags=re.MULTILINE)


def _send(asset: Asset) -> Response:
    packed = bool(asset.packed) and "gzip" in request.accept_encodings
    response = Response(asset.packed if packed else asset.content, content_type=asset.type)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    if asset.packed:
        response.headers["Vary"] = "Accept-Encoding"
    return _for_ever(response)


def _for_ever(response: Response) -> Response:
    # A file loads nothing; the long policy of the pages would be a third of a picture.
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


# --- in templates ---------------------------------------------------------------------------------


def money(amount: int, currency: str) -> str:
    return to_text(amount, currency)


def moment(time: datetime) -> str:
    """A time as people read it, such as Sat 1 May 2027, 20:00 UTC."""
    return f"{time:%a} {time.day} {time:%b %Y, %H:%M} UTC"


def cover(key: str) -> str:
    """The class of the ground below a ticket's picture, until that has arrived."""
    return f"cover-{covers.palette(key)}"


def sentence(message: str, field: str = "", label: str = "") -> str:
    """An error's message for people: the field's label instead of its name, and a full stop."""
    text = label + message.removeprefix(field) if field and message.startswith(field) else message
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
