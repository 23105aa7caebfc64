"""Attacks by way of the victim's browser: other sites, scripts in texts, addresses, frames."""

import json
import secrets
from urllib.parse import quote, urlencode

import pytest

from tests.system.http import Answer, Client
from tests.system.world import PASSWORD, Json, Person, World
from tests.waiting import wait_until

SCRIPTS = (
    '<script>alert("xss")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "</title></textarea><svg onload=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "javascript:alert(1)//' onmouseover='alert(1)",
)
HTMX = {"HX-Request": "true"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def harmless(page: Answer) -> None:
    """Nothing of what was typed is markup."""
    assert "text/html" in page.headers["content-type"]
    for piece in ("<script>alert", "<img src=x", "<svg onload", " onmouseover='alert", "49$49"):
        assert piece not in page.text


# --- requests of other sites ----------------------------------------------------------------------


CROSS_SITE: dict[str, dict[str, str]] = {
    "from_another_site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "from_a_sibling_host": {"Sec-Fetch-Site": "same-site", "Origin": "http://a.127.0.0.1"},
    "from_an_old_browser": {"Origin": "https://evil.example"},
    "from_a_sandboxed_frame": {"Origin": "null"},
    "from_another_port": {"Origin": "http://127.0.0.1:1"},
    "from_a_host_that_begins_like_ours": {"Origin": "http://{host}.evil.example"},
    "from_a_host_that_ends_like_ours": {"Origin": "http://evil.example@{host}"},
    "from_an_address_that_is_none": {"Origin": "http://["},
    "with_an_empty_token": {"Origin": "https://evil.example", "Authorization": "Bearer "},
    "with_another_scheme_of_authorization": {
        "Origin": "https://evil.example", "Authorization": "Basic eDp4",
    },
}  # fmt: skip


@pytest.mark.parametrize("want", CROSS_SITE)
def test_an_attacker_wants_a_victim_to_buy(victim: Person, ticket: Json, want: str):
    host = victim.url.removeprefix("http://")
    headers = {name: value.format(host=host) for name, value in CROSS_SITE[want].items()}
    before = victim.get("/api/orders").json
    body = urlencode({"ticketId": ticket["id"], "quantity": "1"})
    victim.send("POST", "/orders", body, {**FORM, **headers}).expect(403)
    body = json.dumps({"ticketId": ticket["id"]})
    victim.send("POST", "/api/orders", body, headers).expect(403)
    assert victim.get("/api/orders").json == before


def test_an_attacker_wants_to_skip_the_check_with_a_token_of_their_own(
    victim: Person, ticket: Json
):
    """A header of authorization turns the check off, and with it the cookie."""
    headers = {"Origin": "https://evil.example", "Authorization": "Bearer x"}
    body = json.dumps({"ticketId": ticket["id"]})
    victim.send("POST", "/api/orders", body, headers).expect(401)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_an_attacker_wants_a_form_to_look_like_json(victim: Person, ticket: Json, kind: str):
    body = json.dumps({"ticketId": ticket["id"]})
    answer = victim.send("POST", "/api/orders", body, {"Content-Type": kind})
    assert "application/json" in answer.expect(415).message


@pytest.mark.parametrize(
    "path", ["/orders/{id}/cancel", "/account/signout", "/tickets/{id}/withdraw"]
)
def test_an_attacker_wants_a_link_to_do_something(victim: Person, paid: Json, path: str):
    answer = victim.get(path.format(id=paid["id"]))
    assert answer.status in (403, 404, 405)
    victim.get("/api/orders").expect(200)


OVERRIDES: dict[str, tuple[str, dict[str, str]]] = {
    "by_a_header": ("", {"X-HTTP-Method-Override": "DELETE"}),
    "by_another_header": ("", {"X-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}),
    "by_a_field": ("?_method=DELETE", {}),
}


@pytest.mark.parametrize("want", OVERRIDES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_attacker_wants_another_method(victim: Person, ticket: Json, want: str, method: str):
    query, headers = OVERRIDES[want]
    order = victim.reserves(ticket)
    victim.send(method, f"/api/orders/{order['id']}{query}", None, headers)
    assert victim.order(order)["status"] == "created"
    victim.cancels(order).expect(204)


@pytest.mark.parametrize("path", ["/api/orders", "/api/users/currentuser", "/live?topic=orders"])
def test_an_attacker_wants_another_site_to_read(victim: Person, path: str):
    evil = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    answers = [victim.send("OPTIONS", path, None, evil), victim.send("HEAD", path, None, evil)]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


# --- scripts in texts -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scripted(seller: Person, victim: Person) -> Json:
    """A ticket full of scripts, and an order of it that is paid."""
    text = " ".join(SCRIPTS)
    ticket = seller.sells(title=text[:200], venue=text[:200], description=text, quantity=9)
    order = victim.reserves(ticket)
    victim.pays(order)
    victim.sees_order(order, status="complete")
    return {"ticket": ticket["id"], "order": order["id"]}


PAGES_OF_SELLERS = (
    "/tickets/mine", "/tickets/{ticket}", "/tickets/{ticket}/edit", "/tickets/{ticket}/withdraw",
    "/orders/sales", "/orders/sales/{ticket}",
)  # fmt: skip
PAGES_OF_BUYERS = (
    "/", "/tickets?q=alert", "/tickets/{ticket}", "/orders", "/orders?show=all", "/orders/{order}",
    "/orders/{order}/receipt", "/orders/{order}/tickets", "/payments/new?order={order}",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES_OF_SELLERS)
def test_an_attacker_wants_a_script_on_a_page_of_the_seller(
    seller: Person, scripted: Json, page: str
):
    harmless(seller.get(page.format(**scripted)).expect(200))
    harmless(seller.get(page.format(**scripted), **HTMX))


@pytest.mark.parametrize("page", PAGES_OF_BUYERS)
def test_an_attacker_wants_a_script_on_a_page_of_the_buyer(
    victim: Person, scripted: Json, page: str
):
    harmless(victim.get(page.format(**scripted)).expect(200))
    harmless(victim.get(page.format(**scripted), **HTMX))


REFLECTED = (
    "/tickets?q={script}", "/tickets?sort={script}", "/tickets?from={script}", "/?min={script}",
    "/tickets/new?title={script}", "/account/signin?next=/{script}",
    "/account/forgotten?email={script}", "/account/reset?token={script}",
    "/account/verify?token={script}",
    "/orders?after={script}",
    "/payments/new?order={script}", "/tickets/{script}", "/orders/check/{script}",
    "/account/email/confirm?token={script}",
)  # fmt: skip


@pytest.mark.parametrize("address", REFLECTED)
def test_an_attacker_wants_a_script_in_a_link_to_run(victim: Person, address: str):
    for script in SCRIPTS:
        answer = victim.get(address.format(script=quote(script, safe="")))
        if answer.status == 400 and not answer.text:
            continue  # refused at the gateway already
        harmless(answer)


def test_an_attacker_wants_a_script_in_a_form_that_comes_back(seller: Person, world: World):
    for script in SCRIPTS:
        fields = {"title": script, "price": script, "venue": script, "description": script}
        harmless(seller.submit("/tickets", fields).expect(400))
        fields = {"email": script, "password": PASSWORD, "next": script}
        harmless(world.visitor().submit("/account/signup", fields).expect(400))
        harmless(world.visitor().submit("/account/signin", fields).expect(400))


def test_an_attacker_wants_a_script_as_the_name_of_a_device(world: World):
    person = world.person()
    body = {"email": person.email, "password": PASSWORD}
    person.post("/api/users/signin", body, User_Agent=SCRIPTS[0]).expect(200)
    harmless(person.get("/account").expect(200))


def test_an_attacker_wants_a_script_as_the_name_of_a_token(victim: Person):
    wanted = {"name": SCRIPTS[1], "scopes": ["read"], "days": 1}
    victim.post("/api/users/tokens", wanted).expect(201)
    harmless(victim.get("/account/tokens").expect(200))


@pytest.mark.parametrize("path", ["/api/tickets", "/api/tickets/{ticket}", "/api/nothing/<b>"])
def test_an_attacker_wants_json_to_be_read_as_a_page(victim: Person, scripted: Json, path: str):
    answer = victim.get(path.format(**scripted), Accept="text/html")
    if answer.status != 404:
        assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get("x-content-type-options") == "nosniff" or answer.status == 404


# --- addresses ------------------------------------------------------------------------------------


ELSEWHERE = (
    "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example",
    "\\\\evil.example", "/\t/evil.example", "/\r\nLocation: https://evil.example",
    "javascript:alert(1)", " //evil.example", "http:evil.example", "/%0d%0aSet-Cookie: a=b",
    "data:text/html,x", "//evil.example/%2e%2e",
)  # fmt: skip


@pytest.mark.parametrize("there", ELSEWHERE)
def test_an_attacker_wants_sign_in_to_lead_elsewhere(world: World, victim: Person, there: str):
    fields = {"email": victim.email, "password": PASSWORD, "next": there}
    for path in ("/account/signin", f"/account/signin?next={quote(there, safe='')}"):
        answer = world.visitor().submit(path, fields).expect(303)
        assert answer.location.startswith("/")
        assert answer.location[1:2] not in ("/", "\\")
        assert "a=b" not in answer.headers["set-cookie"]
        assert "evil" not in answer.location or answer.location.startswith("/%0d")
        page = world.visitor().get(path).text
        assert 'href="//evil' not in page
        assert 'href="https://evil' not in page


@pytest.mark.parametrize(
    "page", ["https://evil.example//evil.example/x", "http://[", "//evil", "\\\\evil", "x" * 5_000]
)
def test_an_attacker_wants_htmx_to_lead_elsewhere(world: World, page: str):
    answer = world.visitor().get("/orders", HX_Request="true", HX_Current_URL=page).expect(200)
    assert answer.headers["hx-redirect"].startswith("/account/signin?next=/")
    assert "next=//" not in answer.headers["hx-redirect"]


POISON = (
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Host": "evil.example", "X-Forwarded-Server": "evil.example"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Original-URL": "/evil.example", "X-Rewrite-URL": "/evil.example"},
    {"X-Forwarded-Prefix": "/evil.example", "X-Script-Name": "/evil.example"},
)


@pytest.mark.parametrize("headers", POISON, ids=lambda headers: "+".join(headers))
def test_an_attacker_wants_their_host_in_an_answer(
    world: World, victim: Person, headers: dict[str, str]
):
    visitor = world.visitor()
    for path in (
        "/",
        "/account/signin",
        "/orders",
        "//tickets",
        "/tickets/",
        "/api/tickets?limit=1",
    ):
        answer = visitor.send("GET", path, None, headers)
        assert "evil.example" not in answer.text + str(answer.headers)
    fields = urlencode({"email": victim.email})
    answer = visitor.send("POST", "/account/forgotten", fields, {**FORM, **headers})
    assert "evil.example" not in answer.text + str(answer.headers)


def test_an_attacker_wants_their_host_in_a_mail(world: World):
    person = world.person()
    body = json.dumps({"email": person.email})
    world.visitor().send("POST", "/api/users/password/forgotten", body, {"Host": "evil.example"})

    def arrived() -> list[str]:
        mails = [path.read_text() for path in (world.stack.home.path / "mails").glob("*.eml")]
        return [mail for mail in mails if person.email in mail and "/account/reset?" in mail]

    [mail] = wait_until(arrived, "the mail")
    assert "evil.example" not in mail
    assert f"{world.stack.url}/account/reset?" in mail


# --- frames, caches -------------------------------------------------------------------------------


PUBLIC = ("/", "/account/signin", "/tickets/nothing", "/api/tickets", "/api/users/nothing", "/live")
PRIVATE = ("/orders", "/tickets/mine", "/account", "/api/orders", "/api/users/sessions")


@pytest.mark.parametrize("path", PUBLIC + PRIVATE)
def test_an_attacker_wants_a_page_in_their_frame(victim: Person, path: str):
    answer = victim.get(path)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize("trick", ["", "/x.css", ";x.css", "%2fx.css", "?x.css", "%00.css"])
def test_an_attacker_wants_a_cache_to_keep_what_is_private(victim: Person, path: str, trick: str):
    answer = victim.get(path + trick)
    assert answer.headers.get("cache-control", "no-store") == "no-store"
    assert answer.status != 200 or trick in ("", "?x.css")


def test_an_attacker_wants_a_cookie_of_theirs_to_be_kept(victim: Person):
    """A header that is told in a request never comes back as a header of the answer."""
    mark = secrets.token_hex(8)
    path = f"/account/signin?next=/{mark}%0d%0aX-Evil:%20{mark}"
    answer = Client(victim.url).get(path, traceparent=f"00-{mark}", Idempotency_Key=mark)
    assert "x-evil" not in answer.headers
    assert mark not in str(answer.headers)
