"""What every web process does alike: input, errors in three shapes, protections of a browser."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from jinja2 import ChoiceLoader, DictLoader
from pydantic import Field
from pymongo.errors import AutoReconnect, OperationFailure
from werkzeug.test import TestResponse

from shared import errors, web
from shared.config import Settings
from shared.fields import Input, Moment, Number, Text, Whole
from shared.identity import require_user, who
from shared.ui.frame import unframed
from tests.identity import identity, sign

PROBLEMS: dict[str, tuple[Exception, int, str]] = {
    "refused": (errors.Refused("Not like this"), 400, "Not like this"),
    "signed-out": (errors.NotSignedIn(), 401, "Not signed in"),
    "forbidden": (errors.Forbidden(), 403, "Not allowed"),
    "unconfirmed": (errors.NotVerified(), 403, "Confirm your e-mail address first"),
    "missing": (errors.NotFound(), 404, "Not found"),
    "not-here-yet": (errors.NotHereYet("There is no such ticket"), 404, "There is no such ticket"),
    "conflict": (errors.Conflict(), 409, "Somebody else changed this"),
    "stale": (errors.PreconditionFailed(), 412, "The version in If-Match"),
    "key-reused": (errors.KeyReused(field="Idempotency-Key"), 422, "This Idempotency-Key"),
    "too-many": (errors.TooMany(), 429, "Too many requests"),
    "unavailable": (errors.Unavailable(), 503, "Temporarily unavailable"),
    "database-away": (AutoReconnect("10.1.2.3:27017 secret"), 503, "Temporarily unavailable"),
    "stepping-down": (OperationFailure("x", code=189), 503, "Temporarily unavailable"),
    "mistake": (KeyError("secret"), 500, "Something went wrong on our side"),
    "broken-query": (OperationFailure("secret", code=9), 500, "Something went wrong on our side"),
}
RETRY_AFTER = {
    "not-here-yet": "1",
    "unavailable": "2",
    "database-away": "2",
    "stepping-down": "2",
}


class Sample(Input):
    title: Annotated[Text, Field(min_length=1, max_length=10)]
    size_limit: Whole = 1
    price: Number | None = None
    starts_at: Moment | None = None


PAGE = "{% extends 'base.html' %}{% block content %}<p>the content</p>{% endblock %}"

CURIOUS = "{% extends 'base.html' %}{% block content %}{{ who() }}{% endblock %}"


def raiser(error: Exception) -> Callable[[], Any]:
    def view() -> Any:
        raise error

    return view


def make_app(public_url: str = "http://localhost") -> Flask:
    settings = Settings(
        nats_url="nats://unused",
        auth_url="http://unused",
        public_url=public_url,
        secret_key="a secret of the tests",
    )
    app = web.create("tests", "/things", settings, identity())
    for name, (error, _, _) in PROBLEMS.items():
        for path in (f"/api/{name}", f"/{name}"):
            app.add_url_rule(path, path, raiser(error), methods=["GET", "POST"])

    @app.post("/api/echo")
    def echo() -> Response:
        return jsonify(json.loads(web.body(Sample).model_dump_json(by_alias=True)))

    @app.post("/form")
    def form() -> Response:
        return jsonify(json.loads(web.form(Sample).model_dump_json(by_alias=True)))

    @app.get("/api/query")
    def query() -> Response:
        return jsonify(json.loads(web.query(Sample).model_dump_json(by_alias=True)))

    @app.post("/key")
    def key() -> Response:
        return jsonify(web.idempotency_key())

    @app.route("/api/me", methods=["GET", "POST"])
    def me() -> Response:
        user = who()
        return jsonify(user.id if user else None)

    @app.get("/mine")
    def mine() -> Response:
        return jsonify(require_user().id)

    @app.get("/page")
    def page() -> Response:
        return web.render("page.html")

    @app.route("/refused-form", methods=["GET", "POST"])
    def refused_form() -> Response:
        return web.kept(web.render("page.html", status=400))

    @app.post("/done")
    def done() -> Any:
        return web.see_other("/things/1")

    return app


@pytest.fixture(scope="module")
def app() -> Flask:
    app = make_app()
    loader = app.jinja_env.loader
    assert loader is not None
    app.jinja_env.loader = ChoiceLoader(
        [DictLoader({"page.html": PAGE, "curious.html": CURIOUS}), loader]
    )
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def messages(answer: Any) -> list[tuple[str | None, str]]:
    assert answer.json.keys() == {"errors"}
    return [(error.get("field"), error["message"]) for error in answer.json["errors"]]


HTMX = {"HX-Request": "true"}

# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBLEMS)
def test_under_api_every_error_is_json(client: FlaskClient, name: str):
    _, status, message = PROBLEMS[name]
    answer = client.get(f"/api/{name}")
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    ((field, text),) = messages(answer)
    assert text.startswith(message)
    assert field == ("Idempotency-Key" if name == "key-reused" else None)
    assert answer.headers.get("Retry-After") == RETRY_AFTER.get(name)
    assert "secret" not in answer.text


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "signed-out"])
def test_elsewhere_every_error_is_a_page(client: FlaskClient, name: str):
    _, status, message = PROBLEMS[name]
    answer = client.get(f"/{name}")
    assert answer.status_code == status
    assert answer.content_type.startswith("text/html")
    assert "<!doctype html>" in answer.text
    assert message in answer.text or message == "Not found"
    assert answer.headers.get("Retry-After") == RETRY_AFTER.get(name)
    assert "secret" not in answer.text


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "signed-out"])
def test_for_htmx_every_error_is_a_fragment(client: FlaskClient, name: str):
    _, status, _ = PROBLEMS[name]
    answer = client.post(f"/{name}", headers=HTMX)
    assert answer.status_code == status
    assert "<html" not in answer.text
    assert 'role="alert"' in answer.text
    assert answer.headers["HX-Retarget"] == "#notices"
    assert answer.headers["HX-Reswap"].startswith("innerHTML")


def test_a_fragment_that_was_only_looked_for_stays_in_its_place(client: FlaskClient):
    answer = client.get("/unavailable", headers=HTMX)
    assert "HX-Retarget" not in answer.headers


def test_a_page_that_needs_somebody_sends_to_sign_in_and_back(client: FlaskClient):
    answer = client.get("/mine?sort=price")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/account/signin?next=/mine%3Fsort%3Dprice"
    answer = client.get("/mine", headers={**HTMX, "HX-Current-URL": "http://localhost/orders?x=1"})
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/account/signin?next=/orders%3Fx%3D1"


def test_after_a_post_signing_in_leads_to_the_start(client: FlaskClient):
    answer = client.post("/signed-out")
    assert answer.headers["Location"] == "/account/signin?next=/"


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/echo/"])
def test_an_unknown_path_under_api_is_json(client: FlaskClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    assert messages(answer) == [(None, "Not Found")]


def test_a_wrong_method_says_which_are_right(client: FlaskClient):
    answer = client.delete("/api/echo")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert messages(answer) == [(None, "Method Not Allowed")]
    page = client.delete("/form")
    assert page.status_code == 405
    assert set(page.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


# --- input ----------------------------------------------------------------------------------------


def send(client: FlaskClient, data: str | bytes) -> Any:
    return client.post("/api/echo", data=data, content_type="application/json")


def test_a_body_too_large_is_refused(client: FlaskClient):
    answer = send(client, json.dumps({"title": "x" * web.MAX_BODY}))
    assert answer.status_code == 413
    assert answer.content_type == "application/json"
    assert send(client, json.dumps({"title": "x", "more": "x" * 60_000})).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "{",
        '{"title": "x",}',
        '{"title": NaN}',
        '{"price": Infinity}',
        '{"price": -Infinity}',
        b"\xff\xfe",
        "[" * 60_000,
        '{"price": ' + "9" * 5_000 + "}",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_json_is_said_to_be_none(client: FlaskClient, text: str | bytes):
    answer = send(client, text)
    assert answer.status_code == 400
    assert messages(answer) == [(None, "The body must be valid JSON")]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"title": "a", "title": "b"}', "title"),
        ('{"title": "a", "tit\\u006ce": "b"}', "title"),
        ('{"title": "a", "more": {"x": 1, "x": 1}}', "x"),
        ('{"' + "k" * 100 + '": 1, "' + "k" * 100 + '": 2}', "k" * 60),
    ],
)
def test_a_key_that_is_given_twice_is_named(client: FlaskClient, text: str, field: str):
    answer = send(client, text)
    assert answer.status_code == 400
    assert messages(answer) == [(field, f"{field} is given more than once")]


def test_json_has_eight_levels_at_the_most(client: FlaskClient):
    def nested(levels: int) -> str:
        return '{"title": "x", "more": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"

    assert send(client, nested(8)).status_code == 200
    answer = send(client, nested(9))
    assert answer.status_code == 400
    assert messages(answer) == [(None, "The body must not have more than 8 levels")]


def test_a_number_beyond_all_numbers_is_out_of_range(client: FlaskClient):
    answer = send(client, '{"price": 1e99999999999999999999}')
    assert answer.status_code == 400
    assert messages(answer) == [(None, "The body holds a number that is out of range")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_json_must_be_called_json(client: FlaskClient, kind: str | None):
    answer = client.post("/api/echo", data='{"title": "x"}', content_type=kind)
    assert answer.status_code == 415
    assert "Content-Type: application/json" in messages(answer)[0][1]


@pytest.mark.parametrize("encoded", ["title=%ff", "title=%ed%a0%80", "%ff=x", "title=%c0%af"])
def test_forms_and_queries_are_utf_8(client: FlaskClient, encoded: str):
    assert client.get(f"/api/query?{encoded}").status_code == 400
    form = "application/x-www-form-urlencoded"
    assert client.post("/form", data=encoded, content_type=form).status_code == 400


def test_a_field_that_is_given_twice_is_named(client: FlaskClient):
    answer = client.get("/api/query?title=a&title=b")
    assert answer.status_code == 400
    assert messages(answer) == [("title", "title is given more than once")]


@pytest.mark.parametrize("text", ["[]", '"text"', "7", "null", "true", '[{"title": "x"}]'])
def test_what_is_no_object_is_said_to_be_none(client: FlaskClient, text: str):
    answer = send(client, text)
    assert answer.status_code == 400
    assert messages(answer) == [(None, "The body must be a JSON object")]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "title", "title is required"),
        ({"title": ""}, "title", "title is required"),
        ({"title": "   "}, "title", "title is required"),
        ({"title": None}, "title", "title must be a text"),
        ({"title": 7}, "title", "title must be a text"),
        ({"title": ["x"]}, "title", "title must be a text"),
        ({"title": {"$gt": ""}}, "title", "title must be a text"),
        ({"title": "a\x00b"}, "title", "title must not contain NUL characters"),
        ({"title": "\ud800"}, "title", "title must be valid Unicode"),
        ({"title": "a\x1bb"}, "title", "title must not contain control characters"),
        ({"title": "x", "sizeLimit": 2**63}, "sizeLimit", "sizeLimit is out of range"),
        ({"title": "x" * 11}, "title", "title must have at most 10 characters"),
        ({"title": "x", "sizeLimit": "3"}, "sizeLimit", "sizeLimit must be a whole number"),
        ({"title": "x", "sizeLimit": 1.5}, "sizeLimit", "sizeLimit must be a whole number"),
        ({"title": "x", "sizeLimit": True}, "sizeLimit", "sizeLimit must be a whole number"),
        ({"title": "x", "price": "3"}, "price", "price must be a number"),
        ({"title": "x", "price": True}, "price", "price must be a number"),
        ({"title": "x", "price": []}, "price", "price must be a number"),
        ({"title": "x", "startsAt": 5}, "startsAt", "startsAt must be a time such as"),
        ({"title": "x", "startsAt": "soon"}, "startsAt", "startsAt must be a time with its zone"),
        ({"title": "x", "startsAt": "2027-05-01T20:00"}, "startsAt", "startsAt must be a time"),
    ],
    ids=str,
)
def test_a_wrong_value_is_an_error_of_its_field(
    client: FlaskClient, body: Any, field: str, message: str
):
    answer = send(client, json.dumps(body))
    assert answer.status_code == 400
    ((name, text),) = messages(answer)
    assert name == field
    assert text.startswith(message)


@pytest.mark.parametrize("price", ["1e400", "1e-400", "1e999999999", "-1e999999999"])
def test_absurd_exponents_are_out_of_range(client: FlaskClient, price: str):
    answer = send(client, f'{{"title": "x", "price": {price}}}')
    assert answer.status_code == 400
    assert messages(answer) == [("price", "price is out of range")]


def test_every_wrong_field_is_named_at_once(client: FlaskClient):
    answer = send(client, '{"title": 7, "sizeLimit": "x", "price": []}')
    assert [field for field, _ in messages(answer)] == ["title", "sizeLimit", "price"]


def test_what_nobody_asked_for_is_ignored(client: FlaskClient):
    answer = send(client, '{"title": "x", "userId": "me", "version": 99}')
    assert answer.json == {"title": "x", "sizeLimit": 1, "price": None, "startsAt": None}


def test_prices_keep_their_digits(client: FlaskClient):
    assert send(client, '{"title": "x", "price": 19.99}').json["price"] == "19.99"


def test_forms_and_queries_hold_numbers_as_text(client: FlaskClient):
    data = {"title": " x ", "sizeLimit": "3", "price": "19,99", "startsAt": "2027-05-01T20:00"}
    expected = {
        "title": "x", "sizeLimit": 3, "price": "19.99", "startsAt": "2027-05-01T20:00:00Z",
    }  # fmt: skip
    assert client.post("/form", data=data).json == expected
    assert client.get("/api/query", query_string=data).json == expected


@pytest.mark.parametrize("value", ["x", "1.5", "", "²", "-"])
def test_a_form_with_a_wrong_number_is_refused(client: FlaskClient, value: str):
    answer = client.post("/form", data={"title": "x", "sizeLimit": value})
    assert answer.status_code == 400
    assert "sizeLimit must be a whole number" in answer.text


@pytest.mark.parametrize(
    "value", ["", "x", "A" * 24, "a" * 23, "a" * 25, "g" * 24, "a" * 24 + "\n", "٠" * 24]
)
def test_a_malformed_id_is_not_found(value: str):
    with pytest.raises(errors.NotFound):
        web.require_id(value)


def test_an_id_is_24_hex_digits():
    assert web.require_id("0123456789abcdef01234567") == "0123456789abcdef01234567"


def test_an_idempotency_key_comes_by_header_or_form(client: FlaskClient):
    assert client.post("/key", headers={"Idempotency-Key": "k1"}).json == "k1"
    assert client.post("/key", data={"idempotencyKey": "k2"}).json == "k2"
    assert client.post("/key").json is None
    assert client.post("/key", headers={"Idempotency-Key": ""}).json is None
    assert client.post("/key", headers={"Idempotency-Key": "k" * 255}).json == "k" * 255


@pytest.mark.parametrize("key", ["k" * 256, "a\x01b", "a\tb"])
def test_an_idempotency_key_that_can_not_be_kept_is_refused(client: FlaskClient, key: str):
    answer = client.post("/key", data={"idempotencyKey": key})
    assert answer.status_code == 400
    assert "Idempotency-Key must be" in answer.text


# --- output ---------------------------------------------------------------------------------------


def test_a_page_is_whole_and_its_fragment_is_its_block(client: FlaskClient):
    page, fragment = client.get("/page"), client.get("/page", headers=HTMX)
    assert "<!doctype html>" in page.text
    assert "<p>the content</p>" in page.text
    assert fragment.text == "<p>the content</p>"
    for answer in (page, fragment):
        assert answer.headers["Vary"] == "HX-Request, Cookie"
        assert answer.headers["Cache-Control"] == "no-store"


def test_to_confirm_an_address_is_a_way_back_to_the_page_that_asked_for_it(client: FlaskClient):
    assert 'href="/account?next=/unconfirmed%3Fa%3D1"' in client.get("/unconfirmed?a=1").text
    assert 'href="/account"' in client.post("/unconfirmed").text


def test_a_page_for_everyone_can_not_depend_on_its_reader(app: Flask):
    """Somebody's name in what is kept would be shown to everybody."""
    with app.test_request_context("/page"):
        assert b"the content" in unframed("page.html").for_visitor(None)
        with pytest.raises(RuntimeError, match="who looks"):
            unframed("curious.html")
        assert b"Sign up" in unframed("page.html").for_visitor(None)


@pytest.mark.parametrize("path", ["/refused-form", "/forbidden"])
def test_a_browser_may_show_the_answer_to_a_post_again(client: FlaskClient, path: str):
    posted, asked_for = client.post(path), client.get(path)
    assert posted.headers["Cache-Control"] == "private, no-cache"
    assert posted.headers["Vary"] == "HX-Request"
    assert asked_for.headers["Cache-Control"] == "no-store"
    assert asked_for.headers["Vary"] == "HX-Request, Cookie"


def test_nothing_else_that_a_post_answers_is_stored(client: FlaskClient):
    for path in ("/done", "/api/echo", "/api/forbidden"):
        assert client.post(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("header", ["HX-History-Restore-Request", "HX-Boosted"])
def test_a_restored_or_boosted_page_is_whole(client: FlaskClient, header: str):
    assert "<!doctype html>" in client.get("/page", headers={**HTMX, header: "true"}).text


def test_after_a_post_the_browser_goes_on(client: FlaskClient):
    plain, htmx = client.post("/done"), client.post("/done", headers=HTMX)
    assert (plain.status_code, plain.headers["Location"]) == (303, "/things/1")
    assert (htmx.status_code, htmx.headers["HX-Redirect"], htmx.text) == (200, "/things/1", "")


@pytest.mark.parametrize(
    "url",
    [
        None, "", "x", "//evil.example", "https://evil.example", "/\\evil.example", "\\/evil",
        "/a\nb", "/\tb", "javascript:alert(1)", " /x",
    ],
)  # fmt: skip
def test_only_paths_of_this_site_are_gone_to(url: str | None):
    assert web.local_path(url, "/safe") == "/safe"


@pytest.mark.parametrize("url", ["/", "/tickets/1?x=%20y", "/orders#top"])
def test_paths_of_this_site_are_kept(url: str):
    assert web.local_path(url) == url


# --- protection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:81"},
        {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer "},
        {"Sec-Fetch-Site": "cross-site", "Authorization": "Basic x"},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused(client: FlaskClient, headers: dict[str, str]):
    client.set_cookie("session", sign("u1"))
    answer = client.post("/api/me", headers=headers)
    assert answer.status_code == 403
    assert messages(answer) == [(None, "This request came from another site")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_what_this_site_or_a_client_without_a_browser_sends_passes(
    client: FlaskClient, headers: dict[str, str]
):
    client.set_cookie("session", sign("u1"))
    assert client.post("/api/me", headers=headers).json == "u1"


def test_reading_is_open_to_links_from_anywhere(client: FlaskClient):
    client.set_cookie("session", sign("u1"))
    assert client.get("/api/me", headers={"Sec-Fetch-Site": "cross-site"}).json == "u1"


def test_a_bearer_token_passes_and_goes_before_the_cookie(client: FlaskClient):
    client.set_cookie("session", sign("u1"))
    bearer = {"Authorization": f"Bearer {sign('u2')}", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/me", headers=bearer).json == "u2"
    assert client.post("/api/me", headers={"Authorization": "bearer nonsense"}).json is None


def test_a_cookie_that_is_no_token_is_nobody(client: FlaskClient):
    client.set_cookie("session", "nonsense")
    assert client.get("/api/me").json is None


SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/page"), ("GET", "/api/me"), ("GET", "/api/mistake"), ("GET", "/mistake"),
        ("GET", "/nothing"), ("DELETE", "/api/echo"), ("POST", "/api/echo"), ("POST", "/done"),
        ("GET", "/mine"), ("OPTIONS", "/api/echo"), ("GET", "/database-away"),
    ],
)  # fmt: skip
def test_every_answer_carries_the_protections(client: FlaskClient, method: str, path: str):
    answer = client.open(path, method=method)
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "size"),
    [
        ("POST", "/api/forbidden", 10),
        ("DELETE", "/api/nowhere", 10),
        ("POST", "/api/echo", 120_000),
        ("PUT", "/api/echo", 10),
    ],
)
def test_a_body_is_read_even_where_it_is_refused(
    client: FlaskClient, method: str, path: str, size: int
):
    """The server closes a connection with an unread body, perhaps under the next request."""
    sent = BytesIO(b"x" * size)
    answer = client.open(path, method=method, input_stream=sent, content_length=size)
    assert answer.status_code in {403, 404, 405, 413}
    assert sent.tell() == size


def test_a_body_without_end_is_not_read_to_it(client: FlaskClient):
    sent = BytesIO(b"x" * 3_000_000)
    post_beside_its_length(client, sent, 10**12)
    assert 120_000 < sent.tell() < 2_000_000


def test_what_follows_a_body_is_left_to_the_next_request(client: FlaskClient):
    sent = BytesIO(b"0123456789POST / HTTP/1.1")
    post_beside_its_length(client, sent, 10)
    assert sent.tell() == 10


def test_a_body_that_breaks_off_is_refused_like_another(client: FlaskClient):
    assert post_beside_its_length(client, BytesIO(b"x"), 10).status_code == 403


def post_beside_its_length(client: FlaskClient, sent: BytesIO, told: int) -> TestResponse:
    length = {"CONTENT_LENGTH": str(told)}
    return client.post("/api/forbidden", input_stream=sent, environ_overrides=length)


def test_static_files_are_kept_for_ever_and_carry_the_protections(client: FlaskClient):
    (path, *_) = re.findall(r"/things/static/app\.[0-9a-f]+\.css", client.get("/page").text)
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers.getlist("Vary") == ["Accept-Encoding"]  # kept also by who signs in
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    answer.close()
    assert client.get("/things/static/app.css").status_code == 404
    assert client.get("/things/static/../web.py").status_code == 404


def test_under_tls_the_cookie_is_the_hosts_own_and_tls_is_required():
    client = make_app("https://tickets.example.com").test_client()
    client.set_cookie("session", sign("u1"))
    assert client.get("/api/me").json is None
    client.set_cookie("__Host-session", sign("u2"))
    answer = client.get("/api/me")
    assert answer.json == "u2"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
