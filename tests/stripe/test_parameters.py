"""What the emulator refuses, and how it says so."""

import base64

import pytest

CREATE = "/v1/payment_intents"
GOOD = "amount=500&currency=usd"
TOKEN = "payment_method_data[type]=card&payment_method_data[card][token]=tok_visa"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (f"{GOOD}&colour=red", "parameter_unknown", "colour"),
        (
            f"{GOOD}&payment_method_data[colour]=1",
            "parameter_unknown",
            "payment_method_data[colour]",
        ),
        ("currency=usd", "parameter_missing", "amount"),
        ("amount=500", "parameter_missing", "currency"),
        (
            f"{GOOD}&payment_method_data[type]=card",
            "parameter_missing",
            "payment_method_data[card]",
        ),
        ("amount=5.5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount[a]=5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=-5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=500&currency=", "parameter_invalid_empty", "currency"),
        ("amount=49&currency=usd", "amount_too_small", "amount"),
        ("amount=100000000&currency=usd", "amount_too_large", "amount"),
        ("amount=500&currency=xxx", None, "currency"),
        (f"{GOOD}&capture_method=soon", None, "capture_method"),
        (f"{GOOD}&confirm=yes", None, "confirm"),
        (f"{GOOD}&metadata=x", None, "metadata"),
        (f"{GOOD}&metadata[a][b]=x", None, "metadata"),
        (f"{GOOD}&allowed_payment_method_types=card", None, "allowed_payment_method_types"),
        (f"{GOOD}&allowed_payment_method_types[]=ideal", None, "allowed_payment_method_types[0]"),
        (f"{GOOD}&amount[x]=1", None, "amount"),
        (f"{GOOD}&[x]=1", None, "[x]"),
        (f"{GOOD}&return_url=javascript:alert(1)", "url_invalid", "return_url"),
        (f"{GOOD}&return_url=http://shop.test/%0d%0aX:1", "url_invalid", "return_url"),
        (f"{GOOD}&payment_method=pm_card_visa&{TOKEN}", "parameters_exclusive", "payment_method"),
        (f"{GOOD}&payment_method=pm_nothing", "resource_missing", "payment_method"),
    ],
)
def test_refused_parameters(emulator, body, code, param):
    answer = emulator.post(CREATE, body)
    error = answer.json["error"]
    expected = 404 if param == "payment_method" and code == "resource_missing" else 400
    assert (answer.status, error["type"]) == (expected, "invalid_request_error")
    assert (error.get("code"), error["param"]) == (code, param)
    assert emulator.request("GET", CREATE, Authorization="Bearer sk_test_x").json["data"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("amount=50&currency=USD", 200),
        ("amount=29&currency=gbp", 400),
        ("amount=50&currency=jpy", 200),
    ],
)
def test_smallest_amounts(emulator, body, status):
    assert emulator.post(CREATE, body).status == status


def test_unknown_ids(emulator):
    for path in (f"{CREATE}/pi_x", "/v1/charges/ch_x", "/v1/refunds/re_x", "/v1/events/evt_x"):
        answer = emulator.request("GET", path, Authorization="Bearer sk_test_x")
        assert (answer.status, answer.json["error"]["code"]) == (404, "resource_missing")


def test_an_unknown_address(emulator):
    answer = emulator.post("/v1/customers", "name=x")
    assert (answer.status, answer.json["error"]["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize(
    "key", [None, "Bearer sk_live_x", "Bearer pk_test_x", "Bearer ", "Digest x"]
)
def test_no_or_a_bad_key(emulator, key):
    headers = {"Authorization": key} if key else {}
    answer = emulator.request("GET", CREATE, **headers)
    assert (answer.status, answer.json["error"]["type"]) == (401, "invalid_request_error")


def test_a_key_as_the_user_name_as_curl_sends_it(emulator):
    credentials = base64.b64encode(b"sk_test_x:").decode()
    answer = emulator.request("GET", CREATE, Authorization=f"Basic {credentials}")
    assert answer.status == 200
