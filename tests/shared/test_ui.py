"""The common look: static files, pictures of tickets, and what forms say."""

import gzip
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import ui
from shared.ui import covers

KEY = "0123456789abcdef01234567"
ROOT = Path(ui.__file__).parents[2]
ICON = r'\bicon\("([^"]+)"\)'


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__, static_folder=None)
    ui.init_app(app, "/things")

    @app.get("/asset/<name>")
    def asset(name: str) -> str:
        return app.jinja_env.globals["asset"](name)

    @app.get("/cover/<title>")
    def cover(title: str) -> str:
        return app.jinja_env.globals["cover_url"](KEY, title)

    @app.get("/icon/<name>")
    def icon(name: str) -> str:
        return app.jinja_env.globals["icon"](name)

    return app.test_client()


def test_static_files_are_sent_packed_to_those_who_can_unpack(client: FlaskClient) -> None:
    path = client.get("/asset/app.css").text
    packed = client.get(path, headers={"Accept-Encoding": "br, gzip"})
    plain = client.get(path)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert len(packed.data) < len(plain.data) / 3


def test_what_is_packed_already_is_sent_as_it_is(client: FlaskClient) -> None:
    path = client.get("/asset/figtree-5.3.0-latin.woff2").text
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.content_type == "font/woff2"


def test_a_style_sheet_names_files_that_are_there(client: FlaskClient) -> None:
    path = client.get("/asset/app.css").text
    style = client.get(path).text
    assert "/*" not in style
    names = re.findall(r'url\("([^"]+)"\)', style)
    assert names
    for name in names:
        assert client.get(f"/things/static/{name}").status_code == 200


def test_scripts_are_sent_without_their_remarks(client: FlaskClient) -> None:
    for name in ("app.js", "live.js", "card.js"):
        script = client.get(client.get(f"/asset/{name}").text).text
        source = (ui.STATIC / name).read_text()
        kept = [line.strip() for line in source.splitlines() if line.strip()[:2] not in ("", "//")]
        assert script.splitlines() == kept


def test_a_first_visit_costs_less_than_60_kilobytes(client: FlaskClient) -> None:
    names = ("app.css", "app.js", "live.js", "htmx-2.0.11.min.js", "htmx-ext-sse-2.2.4.min.js")
    paths = [client.get(f"/asset/{name}").text for name in (*names, "figtree-5.3.0-latin.woff2")]
    answers = [client.get(path, headers={"Accept-Encoding": "gzip"}) for path in paths]
    page = 8_000  # the page itself and the heads of all answers
    assert sum(len(answer.data) for answer in answers) + page < 60 * 1024


def test_every_icon_that_a_template_names_is_drawn_in_the_page_itself(client: FlaskClient) -> None:
    templates = [path for part in ("shared", "apps") for path in (ROOT / part).rglob("*.html")]
    named = {name for path in templates for name in re.findall(ICON, path.read_text())}
    assert len(named) > 20
    for name in named:
        drawing = ElementTree.fromstring(client.get(f"/icon/{name}").text)  # noqa: S314 - our own
        assert {shape.tag for shape in drawing} <= {"path", "circle", "rect", "line", "ellipse"}
        assert len(drawing) > 0


@pytest.mark.parametrize("motif", covers.MOTIFS)
def test_every_picture_is_small_and_always_the_same(client: FlaskClient, motif: str) -> None:
    answer = client.get(f"/things/covers/{motif}-{KEY}.svg")
    assert answer.content_type.startswith("image/svg+xml")
    assert "immutable" in answer.headers["Cache-Control"]
    assert ElementTree.fromstring(answer.text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert len(gzip.compress(answer.data)) < 3_500
    assert answer.text == covers.draw(KEY, motif)
    assert answer.text != covers.draw(KEY[::-1], motif)


@pytest.mark.parametrize(
    ("title", "motif"),
    [
        ("Jazz Night", "rings"),
        ("City Derby", "pitch"),
        ("Silent Film with Piano", "film"),
        ("A WINTER'S TALE", "stage"),
    ],
)
def test_a_picture_is_about_the_title(client: FlaskClient, title: str, motif: str) -> None:
    path = client.get(f"/cover/{title}").text
    assert path == f"/things/covers/{motif}-{KEY}.svg"
    assert client.get(path).status_code == 200


def test_a_title_about_nothing_known_gets_a_picture_by_its_ticket() -> None:
    found = {covers.motif(f"{number:024x}", "Xyz") for number in range(400)}
    assert found <= set(covers.MOTIFS)
    assert len(found) > 3


@pytest.mark.parametrize("name", ["none-" + KEY, "rings-x", "rings-" + KEY.upper(), "rings"])
def test_other_pictures_are_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/things/covers/{name}.svg").status_code == 404


def test_each_palette_has_a_ground_in_the_style_sheet(client: FlaskClient) -> None:
    style = client.get(client.get("/asset/app.css").text).text
    assert len(re.findall(r"^\.cover-\d+ ", style, re.MULTILINE)) == covers.PALETTES
