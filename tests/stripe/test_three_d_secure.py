"""3-D Secure by redirect: the emulator's page stands for the bank's."""

from urllib.parse import parse_qs, urlsplit

import pytest

BUTTON = {"succeeded": "complete=1", "failed": "fail=1"}
CARDS = [
    "pm_card_threeDSecure2Required",
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredOnSetup",
]


def bank_page(intent):
    action = intent.next_action
    assert action.type == "redirect_to_url"
    return urlsplit(action.redirect_to_url.url).path


def press(emulator, page, result):
    answer = emulator.request("POST", page, BUTTON[result])
    assert answer.status == 303
    return answer.headers["Location"]


@pytest.mark.parametrize("card", CARDS)
def test_completed(emulator, payments, card):
    intent = payments.challenged(card)
    assert (intent.status, intent.amount_capturable) == ("requires_action", 0)
    shown = emulator.request("GET", bank_page(intent))
    assert shown.status == 200
    assert all(button in shown.text for button in ("Complete", "Fail", "10.00 usd"))

    location = urlsplit(press(emulator, bank_page(intent), "succeeded"))
    assert f"{location.scheme}://{location.netloc}{location.path}" == (
        "http://shop.test/payments/back"
    )
    assert parse_qs(location.query) == {
        "order": ["7"],
        "payment_intent": [intent.id],
        "payment_intent_client_secret": [intent.client_secret],
        "redirect_status": ["succeeded"],
    }
    after = payments.api.retrieve(intent.id)
    assert (after.status, after.next_action, after.amount_capturable) == (
        "requires_capture",
        None,
        1000,
    )


def test_failed(emulator, payments):
    intent = payments.challenged()
    assert "redirect_status=failed" in press(emulator, bank_page(intent), "failed")
    after = payments.api.retrieve(intent.id)
    assert (after.status, after.payment_method) == ("requires_payment_method", None)
    assert after.last_payment_error.code == "payment_intent_authentication_failure"
    assert payments.api.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == (
        "requires_capture"
    )


def test_declined_after_the_buyer_proved_who_they_are(emulator, payments):
    intent = payments.challenged("pm_card_threeDSecureRequiredChargeDeclined")
    assert "redirect_status=failed" in press(emulator, bank_page(intent), "succeeded")
    assert payments.api.retrieve(intent.id).last_payment_error.code == "card_declined"


def test_a_second_press_changes_nothing(emulator, payments):
    intent = payments.challenged()
    first = press(emulator, bank_page(intent), "succeeded")
    assert press(emulator, bank_page(intent), "failed") == first
    assert payments.status(intent.id) == "requires_capture"


def test_the_page_of_an_earlier_attempt_is_dead(emulator, payments):
    intent = payments.challenged()
    again = payments.api.confirm(
        intent.id,
        {"payment_method": "pm_card_authenticationRequired", "return_url": "http://shop.test/"},
    )
    answer = emulator.request("POST", bank_page(intent), BUTTON["succeeded"])
    assert (answer.status, "no longer waits" in answer.text) == (200, True)
    assert payments.status(intent.id) == "requires_action"
    press(emulator, bank_page(again), "succeeded")
    assert payments.status(intent.id) == "requires_capture"


def test_a_cancelled_payment_can_not_be_completed(emulator, payments):
    intent = payments.challenged()
    payments.api.cancel(intent.id)
    emulator.request("POST", bank_page(intent), BUTTON["succeeded"])
    assert payments.status(intent.id) == "canceled"


def test_without_a_way_back_only_a_script_could_go_on(payments):
    intent = payments.confirmed("pm_card_threeDSecure2Required")
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")


def test_an_unknown_page(emulator):
    assert emulator.request("GET", "/3d-secure/auth_nothing").status == 404
